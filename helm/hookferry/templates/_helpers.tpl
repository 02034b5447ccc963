{{/* Name of the application in labels. */}}
{{- define "hookferry.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of every object; 52 characters, so that a StatefulSet's pods and their revision label fit into 63. */}}
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

{{/* The three facts of the configuration that the pod follows; a key set to null has the program's own default. */}}
{{- define "hookferry.adminPort" -}}
{{- (default dict .Values.config.admin).port | default 8080 | int -}}
{{- end -}}

{{- define "hookferry.stateDir" -}}
{{- default "/var/lib/hookferry" .Values.config.state_dir -}}
{{- end -}}

{{/* Ten seconds above the drain: the last commit and the exit come after it, and then the node kills. */}}
{{- define "hookferry.gracePeriod" -}}
{{- add (.Values.config.drain_timeout_s | default 20 | ceil | int) 10 -}}
{{- end -}}
