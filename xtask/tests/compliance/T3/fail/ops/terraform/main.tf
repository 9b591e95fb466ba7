variable "db_password" {
  type = string
}

resource "x" "y" {
  password = "hunter2"

  settings = {
    api_token = "hunter2"
  }
}
