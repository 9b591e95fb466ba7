provider "registry.terraform.io/someone/hcloud" {
  version = "1.60.1"
  hashes = [
    "h1:AAAA",
  ]
}

provider "registry.terraform.io/hashicorp/null" {
  version = "3.2.4"
  hashes  = []
}
