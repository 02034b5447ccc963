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
app.kubernetes.io/name: {{ include "hookferry.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hookferry.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "hookferry.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
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
{{- toYaml $config -}}
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
app.kubernetes.io/name: {{ include "hookferry.name" . | trunc 55 | trimSuffix "-" }}-console
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hookferry.consoleLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "hookferry.consoleSelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
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
{{- $hosts := list $name $short (printf "%s.svc" $short) (printf "%s.svc.cluster.local" $short) -}}
{{- if .Values.console.ingress.host -}}
{{- $hosts = list $name $short (printf "%s.svc" $short) (printf "%s.svc.cluster.local" $short) .Values.console.ingress.host -}}
{{- end -}}
{{- $fits := dict "host" "0.0.0.0" "folder" (include "hookferry.consoleFolder" .) -}}
{{- if not $own.hosts -}}
{{- $fits = merge (dict "hosts" $hosts) $fits -}}
{{- end -}}
{{- $_ := set $config "console" (merge $fits $own) -}}
{{- toYaml $config -}}
{{- end -}}
