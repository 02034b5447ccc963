#!/bin/sh
# Check the chart with the real tools: helm lint and template, helm-unittest, kubeconform. `make chart-tools` builds them;
# HELM, HELM_UNITTEST, KUBECONFORM and PYTHON name others. A missing tool is skipped with a message.
set -eu
cd "$(dirname "$0")/../.."
chart=helm/hookferry tools=build/chart-tools
built() { if [ -x "$2" ]; then echo "$2"; else echo "$1"; fi; }
HELM=${HELM:-$(built helm $tools/helm)} HELM_UNITTEST=${HELM_UNITTEST:-$(built helm-unittest $tools/helm-unittest)}
KUBECONFORM=${KUBECONFORM:-$(built kubeconform $tools/kubeconform)} PYTHON=${PYTHON:-$(built python3 .venv/bin/python)}
export PYTHONPATH="$tools/schemas${PYTHONPATH:+:$PYTHONPATH}"

suites() {
  echo "== helm-unittest"
  if command -v "$HELM_UNITTEST" >/dev/null 2>&1; then
    "$HELM_UNITTEST" --strict "$chart"
  elif "$HELM" unittest --help >/dev/null 2>&1; then
    "$HELM" unittest --strict "$chart"
  else
    echo "SKIPPED: chart suites (no helm-unittest on PATH)"
  fi
  rmdir "$chart/tests/__snapshot__" 2>/dev/null || true # helm-unittest creates it, although no test has a snapshot
}

if ! command -v "$HELM" >/dev/null 2>&1; then
  echo "SKIPPED: chart (no helm on PATH, and none built by make chart-tools); its suites need none"
  suites
  exit 0
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

render() { # <name of the file> <release> <namespace> <values>
  "$HELM" lint --strict --quiet "$chart" --values "$4"
  "$HELM" template "$2" "$chart" --namespace "$3" --values "$4" >"$out/$1.yaml"
}
for values in "$chart"/ci/*-values.yaml; do
  name=$(basename "$values" -values.yaml)
  echo "== helm lint and template: $name"
  render "$name" ferry hooks "$values"
done
echo "== helm lint and template: texts that look like numbers"
render numbers 123 456 tests/chart/values/numbers-values.yaml

echo "== a changed configuration replaces the pods"
checksum() { "$HELM" template ferry "$chart" --values "$chart/ci/minimal-values.yaml" "$@" | sed -n 's/.*checksum\/config: //p'; }
[ "$(checksum)" = "$(checksum)" ] || { echo "checksum/config differs between two identical renderings" >&2; exit 1; }
[ "$(checksum)" != "$(checksum --set config.dedupe.window_s=60)" ] || { echo "checksum/config does not change with the configuration" >&2; exit 1; }

[ "$(checksum)" = "$(checksum --set config.log.level=debug)" ] || { echo "checksum/config changes with what needs no restart" >&2; exit 1; }
[ "$(checksum --set config.reload=signal)" != "$(checksum --set config.reload=signal --set config.log.level=debug)" ] || { echo "without a watch, checksum/config must change with everything" >&2; exit 1; }

echo "== a control character is refused, for which helm would write an empty bridge.yaml"
for place in group console.tokens.ops.role; do
  "$HELM" template ferry "$chart" --values "$chart/ci/console-values.yaml" --set-string "config.$place=$(printf 'a\177b')" 2>&1 |
    grep -q 'contains a control character' || { echo "config.$place with a control character is not refused" >&2; exit 1; }
done

suites

echo "== kubeconform"
if ! command -v "$KUBECONFORM" >/dev/null 2>&1; then
  echo "SKIPPED: schemas of Kubernetes (no kubeconform on PATH)"
elif ! "$PYTHON" -c 'import importlib.util, yaml; assert importlib.util.find_spec("kubernetes_validate")' 2>/dev/null; then
  echo "SKIPPED: schemas of Kubernetes (no Python packages kubernetes-validate and PyYAML)"
else
  foreign=
  if ! [ -d $tools/crds ]; then
    echo "SKIPPED: schemas of ServiceMonitor and PrometheusRule (make chart-tools fetches them)"
    foreign=ServiceMonitor,PrometheusRule
  fi
  # The oldest version the chart claims, and a recent one.
  "$PYTHON" tests/chart/k8s_schemas.py "$out/schemas" "$tools/crds" 1.27.0 1.37.0
  for version in 1.27.0 1.37.0; do
    "$KUBECONFORM" -strict -summary -skip "$foreign" -kubernetes-version "$version" \
      -schema-location "$out/schemas/{{ .NormalizedKubernetesVersion }}-strict/{{ .ResourceKind }}{{ .KindSuffix }}.json" "$out"/*.yaml
  done
fi
