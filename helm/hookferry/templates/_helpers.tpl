{{/* Name of the application in labels. */}}
{{- define "hookferry.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of every object: at most 52 characters, so that a StatefulSet's pods and their revision label fit into 63. */}}
{{- define "hookferry.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "hookferry.selectorLabels" -}}
app.kubernetes.io/name: {{ include "hookferry.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "hookferry.labels" -}}
{{- include "hookferry.labelsWith" (list . "hookferry.selectorLabels" dict) -}}
{{- end -}}

{{/* All labels of an object. Argument: list of the context, the name of the template with its selector labels, and labels of
this object alone. Each key appears once: a label of the object replaces one of commonLabels. */}}
{{- define "hookferry.labelsWith" -}}
{{- $context := index . 0 -}}
{{- $chart := printf "%s-%s" $context.Chart.Name $context.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $own := include (index . 1) $context | fromYaml -}}
{{- $_ := set $own "helm.sh/chart" $chart -}}
{{- $_ := set $own "app.kubernetes.io/version" $context.Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" $context.Release.Service -}}
{{- toYaml (merge $own (default dict (index . 2)) (default dict $context.Values.commonLabels)) -}}
{{- end -}}

{{- define "hookferry.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "hookferry.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "hookferry.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The part of the configuration that needs a restart: all of it, unless the program watches its file. */}}
{{- define "hookferry.restartConfig" -}}
{{- $config := include "hookferry.config" . | fromYaml -}}
{{- $mode := "watch" -}}
{{- if hasKey $config "reload" -}}
{{- $mode = toString $config.reload -}}
{{- end -}}
{{- if eq $mode "watch" -}}
{{- $log := omit (default dict $config.log) "level" "attempts" -}}
{{- $history := omit (default dict $config.history) "bodies" "max_body_bytes" -}}
{{- $config = omit $config "endpoints" "egress" "reload" "log" "history" -}}
{{- $_ := set $config "log" $log -}}
{{- $_ := set $config "history" $history -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{/* bridge.yaml: config, with the names of the Service as hosts of the admin port, unless others are set. */}}
{{- define "hookferry.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $admin := default dict $config.admin -}}
{{- if not $admin.hosts -}}
{{- $name := include "hookferry.fullname" . -}}
{{- $short := printf "%s.%s" $name .Release.Namespace -}}
{{- $hosts := list $name $short (printf "%s.svc" $short) (printf "%s.svc.cluster.local" $short) -}}
{{- $_ := set $config "admin" (merge (dict "hosts" $hosts) $admin) -}}
{{- end -}}
{{- include "hookferry.asYaml" $config -}}
{{- end -}}

{{/* Argument as YAML. Helm's toYaml returns an empty text, without an error, for a text with a control character. */}}
{{- define "hookferry.asYaml" -}}
{{- $text := toYaml . -}}
{{- if not $text -}}
{{- fail "config: a text in it contains a control character, so it cannot be written as YAML; remove the character" -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* HTTPS if the admin port has a certificate, else HTTP. */}}
{{- define "hookferry.adminScheme" -}}
{{- ternary "HTTPS" "HTTP" (not (empty (default dict .Values.config.admin).tls)) -}}
{{- end -}}

{{/* The three settings that the pod follows; for a key set to null, the program's default applies. */}}
{{- define "hookferry.adminPort" -}}
{{- (default dict .Values.config.admin).port | default 8080 | int -}}
{{- end -}}

{{- define "hookferry.stateDir" -}}
{{- default "/var/lib/hookferry" .Values.config.state_dir -}}
{{- end -}}

{{/* Ten seconds more than the drain, for the last commit and the exit; after that the kubelet kills the pod. */}}
{{- define "hookferry.gracePeriod" -}}
{{- add (.Values.config.drain_timeout_s | default 20 | ceil | int) 10 -}}
{{- end -}}

{{/* Names and labels of the console. Its pods are none of the bridge's: no selector of one matches the other. */}}
{{- define "hookferry.consoleName" -}}
{{- printf "%s-console" (include "hookferry.fullname" .) -}}
{{- end -}}

{{- define "hookferry.consoleSelectorLabels" -}}
app.kubernetes.io/name: {{ include "hookferry.name" . | trunc 55 | trimSuffix "-" | printf "%s-console" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "hookferry.consoleLabels" -}}
{{- include "hookferry.labelsWith" (list . "hookferry.consoleSelectorLabels" dict) -}}
{{- end -}}

{{- define "hookferry.consolePort" -}}
{{- default 8090 (get (default dict (get .Values.config "console")) "port") | int -}}
{{- end -}}

{{- define "hookferry.consoleFolder" -}}
{{- default "/var/lib/hookferry-console" (get (default dict (get .Values.config "console")) "folder") -}}
{{- end -}}

{{/* bridge.yaml of the console: config, with the address, the folder and the names that fit the pod. */}}
{{- define "hookferry.consoleConfig" -}}
{{- $config := deepCopy .Values.config -}}
{{- $own := default dict (get $config "console") -}}
{{- $name := include "hookferry.consoleName" . -}}
{{- $short := printf "%s.%s" $name .Release.Namespace -}}
{{- $hosts := default (list $name $short (printf "%s.svc" $short) (printf "%s.svc.cluster.local" $short)) $own.hosts -}}
{{- if and .Values.console.ingress.host (not (has .Values.console.ingress.host $hosts)) -}}
{{- $hosts = append $hosts .Values.console.ingress.host -}}
{{- end -}}
{{- $fits := dict "host" "0.0.0.0" "folder" (include "hookferry.consoleFolder" .) "hosts" $hosts -}}
{{- $_ := set $config "console" (merge $fits $own) -}}
{{- include "hookferry.asYaml" $config -}}
{{- end -}}
