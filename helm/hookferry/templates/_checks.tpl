{{/* Mistakes that would otherwise show only in a running pod, or never: each stops the installation with its remedy. */}}
{{- define "hookferry.checks" -}}
{{- include "hookferry.checkSecrets" . -}}
{{- include "hookferry.checkEnv" . -}}
{{- range $key, $missing := dict "sources" "there is nothing to read; name at least one topic" "endpoints" "there is nobody to deliver to; name at least one receiver" -}}
{{- if not (get $.Values.config $key) -}}
{{- fail (printf "config.%s is empty: %s, as ci/minimal-values.yaml of the chart does" $key $missing) -}}
{{- end -}}
{{- end -}}
{{- $admin := default dict .Values.config.admin -}}
{{- if has (default "0.0.0.0" $admin.host) (list "127.0.0.1" "::1" "localhost") -}}
{{- fail (printf "config.admin.host: %s is loopback, where the kubelet's probes cannot reach it; use 0.0.0.0" $admin.host) -}}
{{- end -}}
{{- if not (hasPrefix "/" (include "hookferry.stateDir" .)) -}}
{{- fail (printf "config.state_dir: %q is relative, so the volume for it has no place; use an absolute path such as /var/lib/hookferry" .Values.config.state_dir) -}}
{{- end -}}
{{- range .Values.extraVolumeMounts -}}
{{- if or (eq .mountPath "/etc/hookferry") (hasPrefix "/etc/hookferry/" .mountPath) -}}
{{- fail (printf "extraVolumeMounts: %s lies in the volume of bridge.yaml, which is read-only; mount it elsewhere, for example under /schemas" .mountPath) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A ConfigMap is readable by whoever may list it: secrets come as ${env:...} or ${file:...}. */}}
{{- define "hookferry.checkSecrets" -}}
{{- $remedy := "write ${env:NAME} or ${file:/path} there and supply it from a Secret with env or extraVolumes" -}}
{{- $kafka := default dict .Values.config.kafka -}}
{{- $sasl := default dict $kafka.sasl -}}
{{- $tls := default dict $kafka.tls -}}
{{- range $place, $value := dict "kafka.sasl.password" $sasl.password "kafka.sasl.client_secret" $sasl.client_secret "kafka.tls.key_password" $tls.key_password -}}
{{- if and $value (not (contains "${" (toString $value))) -}}
{{- fail (printf "config.%s: a secret in clear would be readable in the ConfigMap; %s" $place $remedy) -}}
{{- end -}}
{{- end -}}
{{- range $name, $endpoint := default dict .Values.config.endpoints -}}
{{- range (default dict $endpoint).secrets -}}
{{- if not (contains "${" (toString .)) -}}
{{- fail (printf "config.endpoints.%s.secrets: a secret in clear would be readable in the ConfigMap; %s" $name $remedy) -}}
{{- end -}}
{{- end -}}
{{- range $header, $value := (default dict $endpoint).headers -}}
{{- if and (eq (lower $header) "authorization") (not (contains "${" (toString $value))) -}}
{{- fail (printf "config.endpoints.%s.headers.%s: a secret in clear would be readable in the ConfigMap; %s" $name $header $remedy) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The pod is shaped after config; a variable that overrides it behind the chart's back would make the two disagree. */}}
{{- define "hookferry.checkEnv" -}}
{{- $instead := dict
  "HOOKFERRY_CONFIG" "the chart's own path"
  "HOOKFERRY_DRAIN_TIMEOUT_S" "config.drain_timeout_s, which terminationGracePeriodSeconds follows"
  "HOOKFERRY_STATE_DIR" "config.state_dir, where the chart mounts the volume"
  "HOOKFERRY_ADMIN__HOST" "config.admin.host"
  "HOOKFERRY_ADMIN__PORT" "config.admin.port, which probes and Service follow" -}}
{{- range .Values.env -}}
{{- if hasKey $instead .name -}}
{{- fail (printf "env: %s cannot be set here; use %s" .name (get $instead .name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
