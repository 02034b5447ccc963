{{/* Mistakes that would otherwise appear only in a running pod, or never. Each stops the installation with its remedy. */}}
{{- define "hookferry.checks" -}}
{{- include "hookferry.checkSecrets" . -}}
{{- include "hookferry.checkEnv" . -}}
{{- include "hookferry.checkName" . -}}
{{- include "hookferry.checkLabels" . -}}
{{- include "hookferry.checkStrategy" . -}}
{{- include "hookferry.checkVolumes" . -}}
{{- range $key, $missing := dict "sources" "no topic is read; add at least one source" "endpoints" "no receiver gets events; add at least one endpoint" -}}
{{- if not (get $.Values.config $key) -}}
{{- fail (printf "config.%s is empty: %s, as in ci/minimal-values.yaml of the chart" $key $missing) -}}
{{- end -}}
{{- end -}}
{{- if (default dict .Values.config.kafka).group_instance_id -}}
{{- fail "config.kafka.group_instance_id: one name for all pods is not possible, because all pods but the last would stop delivering; remove it: by default each pod has a name of its own" -}}
{{- end -}}
{{- if and (eq (toString .Values.workers) "auto") (not (dig "limits" "cpu" "" .Values.resources)) -}}
{{- fail "workers: auto would start one worker for each CPU of the node; set resources.limits.cpu, or a number of workers" -}}
{{- end -}}
{{- $admin := default dict .Values.config.admin -}}
{{- if has (default "0.0.0.0" $admin.host) (list "127.0.0.1" "::1" "localhost") -}}
{{- fail (printf "config.admin.host: %s is loopback, where the kubelet's probes cannot reach it; use 0.0.0.0" $admin.host) -}}
{{- end -}}
{{- include "hookferry.checkConsole" . -}}
{{- if not (hasPrefix "/" (include "hookferry.stateDir" .)) -}}
{{- fail (printf "config.state_dir: %q is relative, so the chart cannot mount a volume there; use an absolute path such as /var/lib/hookferry" .Values.config.state_dir) -}}
{{- end -}}
{{- end -}}

{{/* A release may be named 1st or a.b, a Service may not. */}}
{{- define "hookferry.checkName" -}}
{{- $name := include "hookferry.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "the objects would be named %q, which Kubernetes refuses for a Service; set fullnameOverride to lower-case letters, digits and hyphens that begin with a letter" $name) -}}
{{- end -}}
{{- end -}}

{{/* Selectors and Helm depend on the chart's own labels, and the replacement of pods on its annotation. */}}
{{- define "hookferry.checkLabels" -}}
{{- $own := list "helm.sh/chart" "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "checksum/config" -}}
{{- $given := dict
  "commonLabels" .Values.commonLabels
  "podLabels" .Values.podLabels
  "podAnnotations" .Values.podAnnotations
  "serviceMonitor.labels" .Values.serviceMonitor.labels
  "prometheusRule.labels" .Values.prometheusRule.labels -}}
{{- range $at, $members := $given -}}
{{- range $own -}}
{{- if hasKey (default dict $members) . -}}
{{- fail (printf "%s: the chart sets %s itself; remove it" $at .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A Deployment and a StatefulSet have different strategies. */}}
{{- define "hookferry.checkStrategy" -}}
{{- $type := (default dict .Values.updateStrategy).type | default "" -}}
{{- if and .Values.persistence.enabled (eq $type "Recreate") -}}
{{- fail "updateStrategy.type: Recreate is not possible for the StatefulSet of persistence.enabled; use RollingUpdate or OnDelete" -}}
{{- end -}}
{{- if and (not .Values.persistence.enabled) (eq $type "OnDelete") -}}
{{- fail "updateStrategy.type: OnDelete is not possible for a Deployment; use RollingUpdate or Recreate" -}}
{{- end -}}
{{- end -}}

{{/* Volumes of the values must not take the names and places of the chart's own. */}}
{{- define "hookferry.checkVolumes" -}}
{{- range .Values.extraVolumeMounts -}}
{{- if or (eq .mountPath "/etc/hookferry") (hasPrefix "/etc/hookferry/" .mountPath) -}}
{{- fail (printf "extraVolumeMounts: %s lies in the volume of bridge.yaml, which is read-only; mount it elsewhere, for example under /schemas" .mountPath) -}}
{{- end -}}
{{- end -}}
{{- $own := list "/tmp" (include "hookferry.stateDir" .) (include "hookferry.consoleFolder" .) -}}
{{- range .Values.extraVolumeMounts -}}
{{- if has (trimSuffix "/" .mountPath) $own -}}
{{- fail (printf "extraVolumeMounts: the chart mounts a volume at %s itself; mount yours elsewhere" .mountPath) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraVolumes -}}
{{- if has .name (list "config" "state" "store" "tmp") -}}
{{- fail (printf "extraVolumes: the chart has a volume named %s itself; use another name" .name) -}}
{{- end -}}
{{- end -}}
{{- range $at, $folder := dict "config.state_dir" (include "hookferry.stateDir" .) "config.console.folder" (include "hookferry.consoleFolder" .) -}}
{{- if or (eq $folder "/tmp") (eq $folder "/") (eq $folder "/etc/hookferry") (hasPrefix "/etc/hookferry/" $folder) -}}
{{- fail (printf "%s: %s is not possible, because another volume of the pod, or the program, is there; use another folder" $at $folder) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The console listens on all addresses of its pod, so it needs a login; an ingress without TLS would show its tokens. */}}
{{- define "hookferry.checkConsole" -}}
{{- if .Values.console.enabled -}}
{{- $own := default dict (get .Values.config "console") -}}
{{- if and (not $own.tokens) (not $own.oidc) -}}
{{- fail "console.enabled: the console has no login; set config.console.tokens, with ${env:NAME} or ${file:/path} for each token, or config.console.oidc" -}}
{{- end -}}
{{- if not (hasPrefix "/" (include "hookferry.consoleFolder" .)) -}}
{{- fail (printf "config.console.folder: %q is relative, so the chart cannot mount a volume there; use an absolute path, or remove it" $own.folder) -}}
{{- end -}}
{{- if and .Values.console.ingress.enabled (or (not .Values.console.ingress.host) (not .Values.console.ingress.tlsSecret)) -}}
{{- fail "console.ingress: needs host and tlsSecret; without TLS, tokens could be read on the way" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Every user who may list ConfigMaps can read them, so secrets must be references: ${env:...} or ${file:...}.
files/secret-places.json, made from the program's settings, lists where. */}}
{{- define "hookferry.checkSecrets" -}}
{{- $rules := .Files.Get "files/secret-places.json" | fromJson -}}
{{- if not $rules.headers -}}
{{- fail "files/secret-places.json of the chart is missing or damaged, so secrets in clear would not be found; install the whole chart" -}}
{{- end -}}
{{- include "hookferry.checkSecretsIn" (dict "at" "" "value" .Values.config "rules" $rules "values" .Values) -}}
{{- end -}}

{{/* Argument: at (the path, with slashes), value, rules, values. Checks every text in the value. */}}
{{- define "hookferry.checkSecretsIn" -}}
{{- $in := . -}}
{{- if kindIs "map" .value -}}
{{- range $key, $member := .value -}}
{{- $at := eq $in.at "" | ternary $key (printf "%s/%s" $in.at $key) -}}
{{- include "hookferry.checkSecretsIn" (dict "at" $at "value" $member "rules" $in.rules "values" $in.values) -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- range .value -}}
{{- include "hookferry.checkSecretsIn" (dict "at" $in.at "value" . "rules" $in.rules "values" $in.values) -}}
{{- end -}}
{{- else if and (not (kindIs "invalid" .value)) (ne (toString .value) "") -}}
{{- include "hookferry.checkText" . -}}
{{- end -}}
{{- end -}}

{{/* One text. In $plain, ¤ replaces each reference without a default, whose value is not in the text. */}}
{{- define "hookferry.checkText" -}}
{{- $text := toString .value -}}
{{- $plain := regexReplaceAll "\\$\\{(env:[A-Za-z_][A-Za-z0-9_]*|file:[^}]+)\\}" (replace "¤" "" $text) "¤" -}}
{{- $secret := false -}}
{{- $rest := $plain -}}
{{- range .rules.secrets -}}
{{- if regexMatch . $.at -}}{{- $secret = true -}}{{- end -}}
{{- end -}}
{{- if regexMatch .rules.headers .at -}}
{{- $name := splitList "/" .at | last | lower -}}
{{- $rest = regexReplaceAll "\\{\\{[^}]*\\}\\}" $plain "" -}}
{{- $harmless := has $name .rules.harmlessHeaders -}}
{{- range .values.harmlessHeaders -}}
{{- if eq (lower .) $name -}}{{- $harmless = true -}}{{- end -}}
{{- end -}}
{{- if and (not $harmless) (regexMatch "[^\\s]" $rest) -}}{{- $secret = true -}}{{- end -}}
{{- end -}}
{{- if regexMatch .rules.urls .at -}}
{{- $endpoint := get (default dict .values.config.endpoints) (index (splitList "/" .at) 1) -}}
{{- $preset := get (default dict $endpoint) "preset" | toString -}}
{{- if or (has $preset .rules.secretUrlPresets) (regexMatch .rules.secretUrlHosts $text) -}}
{{- $secret = true -}}
{{- $rest = regexReplaceAll "\\{\\{[^}]*\\}\\}" (regexReplaceAll "^[a-zA-Z]+://[^/]*" $plain "") "" -}}
{{- end -}}
{{- end -}}
{{- $clear := and $secret (not (contains "¤" $rest)) -}}
{{- if $secret -}}
{{- range regexFindAll "[A-Za-z0-9_+=-]{13,}" $rest -1 -}}
{{- if regexMatch "[0-9]" . -}}{{- $clear = true -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (regexMatch .rules.login $plain) (not (regexMatch .rules.loginByReference $plain)) -}}{{- $clear = true -}}{{- end -}}
{{- if regexMatch .rules.secretParameters $plain -}}{{- $clear = true -}}{{- end -}}
{{- if and $secret (or (contains "$${" $text) (regexMatch "\\$\\{env:[^}]*:-[^}]" $text)) -}}{{- $clear = true -}}{{- end -}}
{{- if $clear -}}
{{- $remedy := regexMatch .rules.headers .at | ternary "; if this header is no secret, add its name to harmlessHeaders" "" -}}
{{- fail (printf "config.%s: a secret in clear would be readable in the ConfigMap; write ${env:NAME} or ${file:/path} instead, without a default, and supply the value from a Secret with env or extraVolumes%s" (replace "/" "." .at) $remedy) -}}
{{- end -}}
{{- if or $secret (regexMatch .rules.login $plain) (regexMatch .rules.urls .at) (regexMatch .rules.headers .at) -}}
{{- include "hookferry.checkReferences" (list $text .values.env) -}}
{{- end -}}
{{- end -}}

{{/* Argument: list of a text and env. Fails if a variable that the text refers to has its value in the pod's manifest. */}}
{{- define "hookferry.checkReferences" -}}
{{- $text := index . 0 -}}
{{- range index . 1 -}}
{{- if and (hasKey . "value") (contains (printf "${env:%s}" .name) $text) -}}
{{- fail (printf "env: %s is a secret, and its value would be readable in the pod's manifest; use valueFrom with a secretKeyRef" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Parts of the pod follow config; a variable that overrides it would make the pod and the program disagree. */}}
{{- define "hookferry.checkEnv" -}}
{{- $rules := .Files.Get "files/secret-places.json" | fromJson -}}
{{- $values := .Values -}}
{{- $instead := dict
  "HOOKFERRY_CONFIG" "the chart's own path"
  "HOOKFERRY_DRAIN_TIMEOUT_S" "config.drain_timeout_s, which terminationGracePeriodSeconds follows"
  "HOOKFERRY_STATE_DIR" "config.state_dir, where the chart mounts the volume"
  "HOOKFERRY_ADMIN__HOST" "config.admin.host"
  "HOOKFERRY_ADMIN__PORT" "config.admin.port, which probes and Service follow"
  "HOOKFERRY_CONSOLE__HOST" "the chart's own address"
  "HOOKFERRY_CONSOLE__PORT" "config.console.port, which probes and Service follow"
  "HOOKFERRY_CONSOLE__FOLDER" "config.console.folder, where the chart mounts the volume"
  "HOOKFERRY_KAFKA__GROUP_INSTANCE_ID" "the default, which gives every pod its own name" -}}
{{- range .Values.env -}}
{{- if hasKey $instead .name -}}
{{- fail (printf "env: %s cannot be set here; use %s" .name (get $instead .name)) -}}
{{- end -}}
{{- if and (hasKey . "value") (hasPrefix "HOOKFERRY_" .name) -}}
{{- $at := trimPrefix "HOOKFERRY_" .name | lower | replace "__" "/" -}}
{{- $value := .value -}}
{{- if hasPrefix "{" .value -}}{{- $value = fromJson .value -}}{{- end -}}
{{- if hasPrefix "[" .value -}}{{- $value = fromJsonArray .value -}}{{- end -}}
{{- include "hookferry.checkSecretsIn" (dict "at" $at "value" $value "rules" $rules "values" $values) -}}
{{- end -}}
{{- end -}}
{{- end -}}
