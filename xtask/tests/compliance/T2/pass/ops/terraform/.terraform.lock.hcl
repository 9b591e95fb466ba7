provider "registry.terraform.io/hetznercloud/hcloud" {
  version = "1.60.1"
  hashes = [
    "h1:AAAA",
  ]
}

provider "registry.terraform.io/hashicorp/null" {
  version = "3.2.4"
  hashes  = ["h1:BBBB"]
}
