{{/* Mistakes that would otherwise appear only in a running pod, or never. Each stops the installation with its remedy. */}}
{{- define "hookferry.checks" -}}
{{- include "hookferry.checkSecrets" . -}}
{{- include "hookferry.checkEnv" . -}}
{{- range $key, $missing := dict "sources" "no topic is read; add at least one source" "endpoints" "no receiver gets events; add at least one endpoint" -}}
{{- if not (get $.Values.config $key) -}}
{{- fail (printf "config.%s is empty: %s, as in ci/minimal-values.yaml of the chart" $key $missing) -}}
{{- end -}}
{{- end -}}
{{- if (default dict .Values.config.kafka).group_instance_id -}}
{{- fail "config.kafka.group_instance_id: one name for all pods is not possible, because all pods but the last would stop delivering; remove it: by default each pod has a name of its own" -}}
{{- end -}}
{{- $admin := default dict .Values.config.admin -}}
{{- if has (default "0.0.0.0" $admin.host) (list "127.0.0.1" "::1" "localhost") -}}
{{- fail (printf "config.admin.host: %s is loopback, where the kubelet's probes cannot reach it; use 0.0.0.0" $admin.host) -}}
{{- end -}}
{{- if not (hasPrefix "/" (include "hookferry.stateDir" .)) -}}
{{- fail (printf "config.state_dir: %q is relative, so the chart cannot mount a volume there; use an absolute path such as /var/lib/hookferry" .Values.config.state_dir) -}}
{{- end -}}
{{- range .Values.extraVolumeMounts -}}
{{- if or (eq .mountPath "/etc/hookferry") (hasPrefix "/etc/hookferry/" .mountPath) -}}
{{- fail (printf "extraVolumeMounts: %s lies in the volume of bridge.yaml, which is read-only; mount it elsewhere, for example under /schemas" .mountPath) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Every user who may list ConfigMaps can read them, so secrets must be references: ${env:...} or ${file:...}. */}}
{{- define "hookferry.checkSecrets" -}}
{{- $kafka := default dict .Values.config.kafka -}}
{{- include "hookferry.checkClear" (list "kafka.sasl" $kafka.sasl "password" "client_secret") -}}
{{- include "hookferry.checkClear" (list "kafka.tls" $kafka.tls "key_password") -}}
{{- include "hookferry.checkClear" (list "admin.tls" (default dict .Values.config.admin).tls "key_password") -}}
{{- range $name, $source := default dict .Values.config.sources -}}
{{- include "hookferry.checkClear" (list (printf "sources.%s.registry" $name) (default dict $source).registry "password" "token" "key_password") -}}
{{- end -}}
{{- range $name, $endpoint := default dict .Values.config.endpoints -}}
{{- $place := printf "endpoints.%s" $name -}}
{{- include "hookferry.checkClear" (list $place $endpoint "secrets" "routing_key") -}}
{{- range $header, $_ := (default dict $endpoint).headers -}}
{{- if regexMatch "^(proxy-)?authorization$|api-?key" (lower $header) -}}
{{- include "hookferry.checkClear" (list (printf "%s.headers" $place) $endpoint.headers $header) -}}
{{- end -}}
{{- end -}}
{{- if contains "@" (toString (default "" (default dict $endpoint).proxy)) -}}
{{- include "hookferry.checkClear" (list $place $endpoint "proxy") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Argument: list of place, map, keys. Fails if one of these keys has a value, or a list with a value, that is not a reference. */}}
{{- define "hookferry.checkClear" -}}
{{- $place := index . 0 -}}
{{- $map := default dict (index . 1) -}}
{{- range $key := slice . 2 -}}
{{- $value := get $map $key -}}
{{- range kindIs "slice" $value | ternary $value (list $value) -}}
{{- if and . (not (contains "${" (toString .))) -}}
{{- fail (printf "config.%s.%s: a secret in clear would be readable in the ConfigMap; write ${env:NAME} or ${file:/path} instead, and supply the value from a Secret with env or extraVolumes" $place $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Parts of the pod follow config; a variable that overrides it would make the pod and the program disagree. */}}
{{- define "hookferry.checkEnv" -}}
{{- $instead := dict
  "HOOKFERRY_CONFIG" "the chart's own path"
  "HOOKFERRY_DRAIN_TIMEOUT_S" "config.drain_timeout_s, which terminationGracePeriodSeconds follows"
  "HOOKFERRY_STATE_DIR" "config.state_dir, where the chart mounts the volume"
  "HOOKFERRY_ADMIN__HOST" "config.admin.host"
  "HOOKFERRY_ADMIN__PORT" "config.admin.port, which probes and Service follow"
  "HOOKFERRY_KAFKA__GROUP_INSTANCE_ID" "the default, which gives every pod its own name" -}}
{{- range .Values.env -}}
{{- if hasKey $instead .name -}}
{{- fail (printf "env: %s cannot be set here; use %s" .name (get $instead .name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
