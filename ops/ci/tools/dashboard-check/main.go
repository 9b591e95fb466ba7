// Reads Grafana dashboards as Grafana's schema has them, and prints what it does not allow: `dashboard-check FILE...`.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

const sdk = "github.com/grafana/grafana-foundation-sdk/go"

func problems(text []byte) error {
	var read dashboard.Dashboard
	if err := some(read.UnmarshalJSONStrict(text)); err != nil {
		return err
	}
	if err := some(read.Validate()); err != nil {
		return err
	}
	// The schema takes any panel: only the options and queries of a kind that it knows were read.
	var kinds struct{ Panels []struct{ Type string } }
	if err := json.Unmarshal(text, &kinds); err != nil {
		return err
	}
	for at, panel := range kinds.Panels {
		if _, known := cog.ConfigForPanelcfgVariant(panel.Type); !known {
			return fmt.Errorf("panels[%d]: Grafana has no panel of the type %q", at, panel.Type)
		}
	}
	return nil
}

// some leaves out a list of no errors, which the SDK returns where all is well.
func some(err error) error {
	if list, ok := err.(cog.BuildErrors); ok && len(list) == 0 {
		return nil
	}
	return err
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		information, _ := debug.ReadBuildInfo()
		for _, module := range information.Deps {
			if module.Path == sdk {
				fmt.Println("dashboard-check", strings.TrimPrefix(module.Version, "v"))
			}
		}
		return
	}
	plugins.RegisterDefaultPlugins()
	found := false
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err == nil {
			err = problems(text)
		}
		if err != nil {
			found = true
			fmt.Printf("%s: %v\n", path, err)
		}
	}
	if found {
		os.Exit(1)
	}
}
