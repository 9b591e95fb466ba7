resource "x" {
  a = [
