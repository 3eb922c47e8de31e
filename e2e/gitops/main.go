// Command gitops says what Argo CD and Flux make of objects, by their own code. It reads one object as JSON a line and prints one line
// of JSON for each: the health by Argo CD and its message, the status by Flux, the actions that Argo CD offers, and what each of them
// would make of the object.
//
// Its one argument is the folder with argocd/ and flux/.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

type verdict struct {
	Argo    string                    `json:"argo"`
	Message string                    `json:"message"`
	Flux    string                    `json:"flux"`
	Actions []string                  `json:"actions"`
	After   map[string]map[string]any `json:"after"`
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gitops:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	overrides, err := argo(filepath.Join(dir, "argocd/argocd-cm.yaml"))
	if err != nil {
		return err
	}
	evaluators, err := flux(filepath.Join(dir, "flux/kustomization.yaml"))
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(lines.Bytes()); err != nil {
			return err
		}
		found, err := judge(object, overrides, evaluators)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
			return err
		}
	}
	return lines.Err()
}

// argo reads the ConfigMap as Argo CD does.
func argo(path string) (lua.ResourceHealthOverrides, error) {
	var config struct {
		Data map[string]string `json:"data"`
	}
	if err := read(path, &config); err != nil {
		return nil, err
	}
	overrides := lua.ResourceHealthOverrides{}
	return overrides, yaml.UnmarshalStrict([]byte(config.Data["resource.customizations"]), &overrides)
}

func flux(path string) (map[string]*cel.StatusEvaluator, error) {
	var kustomization struct {
		Spec struct {
			HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
		} `json:"spec"`
	}
	if err := read(path, &kustomization); err != nil {
		return nil, err
	}
	evaluators := map[string]*cel.StatusEvaluator{}
	for _, check := range kustomization.Spec.HealthCheckExprs {
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", check.Kind, err)
		}
		evaluators[check.Kind] = evaluator
	}
	return evaluators, nil
}

func read(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return yaml.Unmarshal(text, into)
}

func judge(object *unstructured.Unstructured, overrides lua.ResourceHealthOverrides, evaluators map[string]*cel.StatusEvaluator) (*verdict, error) {
	found, err := health.GetResourceHealth(object, overrides)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("Argo CD has no health check for %s", object.GetKind())
	}
	evaluator, ok := evaluators[object.GetKind()]
	if !ok {
		return nil, fmt.Errorf("Flux has no health check for %s", object.GetKind())
	}
	status, err := evaluator.Evaluate(context.Background(), object)
	if err != nil {
		return nil, err
	}
	verdict := &verdict{Argo: string(found.Status), Message: found.Message, Flux: status.Status.String(), After: map[string]map[string]any{}}
	return verdict, act(object, overrides, verdict)
}

// act carries out every action that Argo CD offers for the object.
func act(object *unstructured.Unstructured, overrides lua.ResourceHealthOverrides, found *verdict) error {
	vm := lua.VM{ResourceOverrides: map[string]v1alpha1.ResourceOverride(overrides)}
	scripts, err := vm.GetResourceActionDiscovery(object)
	if err != nil {
		return err
	}
	offered, err := vm.ExecuteResourceActionDiscovery(object, scripts)
	if err != nil {
		return err
	}
	for _, action := range offered {
		if action.Disabled {
			continue
		}
		found.Actions = append(found.Actions, action.Name)
		definition, err := vm.GetResourceAction(object, action.Name)
		if err != nil {
			return err
		}
		impacted, err := vm.ExecuteResourceAction(object.DeepCopy(), definition.ActionLua, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", action.Name, err)
		}
		found.After[action.Name] = impacted[0].UnstructuredObj.Object
	}
	return nil
}
