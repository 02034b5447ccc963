#!/bin/sh
# Build the tools of tests/chart/check.sh into a folder: helm, helm-unittest and kubeconform from the modules that go.mod
# pins, and the schemas of Kubernetes and of prometheus-operator. Exits with 3 if Go is missing. Argument: the folder.
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"
PYTHON=${PYTHON:-python3}
# prometheus-operator is no Go dependency: its module only brings the definitions of ServiceMonitor and PrometheusRule.
operator=github.com/prometheus-operator/prometheus-operator@v0.85.0
operator_sum='h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s='

PATH=$PATH:/usr/local/go/bin
if ! command -v go >/dev/null 2>&1; then
  echo "the chart's tools cannot be built: no go on the PATH" >&2
  exit 3
fi
echo "Building helm, helm-unittest and kubeconform: a minute or two, once."
# Without optimization and debugging data the compiler needs about a third less time, and the tools are fast enough. helm comes last:
# it is half of the work, and a build that a timeout ends leaves the others. Helm takes the version of Kubernetes that it supports
# from the version of client-go in go.mod, so no flag must set it.
build() {
  rm -rf "$out/new"
  CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath -gcflags='all=-N -l -dwarf=false' -ldflags='-s -w' -o "$out/new/" "$@"
  mv "$out"/new/* "$out" # at once, so that no half of a file is run after a timeout
}
build github.com/helm-unittest/helm-unittest/cmd/helm-unittest github.com/yannh/kubeconform/cmd/kubeconform
build helm.sh/helm/v4/cmd/helm

found=$(go mod download -json "$operator")
folder=$(echo "$found" | sed -n 's/^.*"Dir": "\(.*\)",*$/\1/p')
[ "$(echo "$found" | sed -n 's/^.*"Sum": "\(.*\)",*$/\1/p')" = "$operator_sum" ] ||
  { echo "$operator has another content than the one that was pinned" >&2; exit 1; }
mkdir -p "$out/crds"
for kind in servicemonitors prometheusrules; do
  cp "$folder/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml" "$out/crds/"
done
chmod -R u+w "$out/crds"

# Only the files of the package are used, and nothing of it runs, so it needs neither its dependencies nor an environment.
"$PYTHON" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes --upgrade \
  --target "$out/schemas" -r ../../../requirements-chart.lock
rmdir "$out/new"
"$out/helm" version --short
