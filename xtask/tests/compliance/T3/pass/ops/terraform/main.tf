variable "db_password" {
  type      = string
  ephemeral = true
}

output "api_token" {
  value     = var.api
  sensitive = true
}

resource "x" "y" {
  password = var.db_password
}
