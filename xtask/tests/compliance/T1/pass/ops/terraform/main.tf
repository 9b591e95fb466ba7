terraform {
  backend "s3" {
    bucket       = "state"
    key          = "flowship"
    encrypt      = true
    use_lockfile = true
  }
}

module "network" {
  source = "./network"
}
