// The judge of our Grafana dashboards: Grafana's own schema, from its SDK, which `main.go` asks. To bump it, change the
// version, then:
//
//     go mod tidy && go vet .
module flowship/tools/dashboard-check

go 1.27.0

tool flowship/tools/dashboard-check

require github.com/grafana/grafana-foundation-sdk/go v0.0.22
