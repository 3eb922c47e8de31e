// Command prometheus says whether the Prometheus operator and Prometheus would take objects, by their own code. It reads one object as
// JSON a line, a ServiceMonitor, a PrometheusRule or a Grafana dashboard, and prints a line for each: what is wrong with it, or "good".
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "prometheus:", err)
		os.Exit(1)
	}
}

func run() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		verdict := "good"
		if err := judge(lines.Bytes()); err != nil {
			verdict = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		fmt.Println(verdict)
	}
	return lines.Err()
}

func judge(text []byte) error {
	var object struct {
		Kind   string           `json:"kind"`
		Panels *json.RawMessage `json:"panels"`
	}
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	switch {
	case object.Kind == "ServiceMonitor":
		return strict(text, &monitoring.ServiceMonitor{})
	case object.Kind == "PrometheusRule":
		return rules(text)
	case object.Panels != nil:
		return dashboard(*object.Panels)
	}
	return fmt.Errorf("what is this? %s", text)
}

// rules decodes a PrometheusRule as its operator does, and has Prometheus load it.
func rules(text []byte) error {
	rule := &monitoring.PrometheusRule{}
	if err := strict(text, rule); err != nil {
		return err
	}
	groups, err := json.Marshal(rule.Spec)
	if err != nil {
		return err
	}
	// JSON is YAML.
	_, problems := rulefmt.Parse(groups, false, model.UTF8Validation)
	return errors.Join(problems...)
}

// dashboard parses the expressions of all panels, with those of collapsed rows.
func dashboard(panels json.RawMessage) error {
	var all []struct {
		Title   string `json:"title"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
		Panels json.RawMessage `json:"panels"`
	}
	if err := json.Unmarshal(panels, &all); err != nil {
		return err
	}
	for _, panel := range all {
		if panel.Panels != nil {
			if err := dashboard(panel.Panels); err != nil {
				return err
			}
		}
		for _, target := range panel.Targets {
			if _, err := parser.ParseExpr(target.Expr); err != nil {
				return fmt.Errorf("panel %s: %s: %w", panel.Title, target.Expr, err)
			}
		}
	}
	return nil
}

func strict(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
