#!/bin/sh
# Check the chart with the installed tools: helm lint and template, helm-unittest, kubeconform. A missing tool is
# skipped with a message. HELM, HELM_UNITTEST, KUBECONFORM and PYTHON replace the programs on the PATH.
set -eu
cd "$(dirname "$0")/../.."
chart=helm/hookferry
HELM=${HELM:-helm} HELM_UNITTEST=${HELM_UNITTEST:-helm-unittest} KUBECONFORM=${KUBECONFORM:-kubeconform} PYTHON=${PYTHON:-python3}

if ! command -v "$HELM" >/dev/null 2>&1; then
  echo "SKIPPED: chart (no helm on PATH)"
  exit 0
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

for values in "$chart"/ci/*-values.yaml; do
  name=$(basename "$values" -values.yaml)
  echo "== helm lint and template: $name"
  "$HELM" lint --strict --quiet "$chart" --values "$values"
  "$HELM" template ferry "$chart" --namespace hooks --values "$values" >"$out/$name.yaml"
done

echo "== a changed configuration replaces the pods"
checksum() { "$HELM" template ferry "$chart" --values "$chart/ci/minimal-values.yaml" "$@" | sed -n 's/.*checksum\/config: //p'; }
[ "$(checksum)" = "$(checksum)" ] || { echo "checksum/config differs between two identical renderings" >&2; exit 1; }
[ "$(checksum)" != "$(checksum --set config.dedupe.window_s=60)" ] || { echo "checksum/config does not change with the configuration" >&2; exit 1; }

[ "$(checksum)" = "$(checksum --set config.log.level=debug)" ] || { echo "checksum/config changes with what needs no restart" >&2; exit 1; }
[ "$(checksum --set config.reload=signal)" != "$(checksum --set config.reload=signal --set config.log.level=debug)" ] || { echo "without a watch, checksum/config must change with everything" >&2; exit 1; }

echo "== helm-unittest"
if command -v "$HELM_UNITTEST" >/dev/null 2>&1; then
  "$HELM_UNITTEST" --strict "$chart"
elif "$HELM" unittest --help >/dev/null 2>&1; then
  "$HELM" unittest --strict "$chart"
else
  echo "SKIPPED: chart suites (no helm-unittest on PATH)"
fi

echo "== kubeconform"
if ! command -v "$KUBECONFORM" >/dev/null 2>&1; then
  echo "SKIPPED: schemas of Kubernetes (no kubeconform on PATH)"
elif ! "$PYTHON" -c 'import kubernetes_validate' 2>/dev/null; then
  echo "SKIPPED: schemas of Kubernetes (no Python package kubernetes-validate)"
else
  # The oldest version the chart claims, and a recent one.
  "$PYTHON" tests/chart/k8s_schemas.py "$out/schemas" 1.27.0 1.34.0
  for version in 1.27.0 1.34.0; do
    "$KUBECONFORM" -strict -summary -skip ServiceMonitor -kubernetes-version "$version" \
      -schema-location "$out/schemas/{{ .NormalizedKubernetesVersion }}-strict/{{ .ResourceKind }}{{ .KindSuffix }}.json" "$out"/*.yaml
  done
fi
