{{/* The pod template, the same in the Deployment and in the StatefulSet. */}}
{{- define "hookferry.podTemplate" -}}
{{- include "hookferry.checks" . -}}
metadata:
  annotations:
    # A change that needs a restart must replace the pods. The program takes all others over by itself.
    checksum/config: {{ include "hookferry.restartConfig" . | sha256sum | quote }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "hookferry.labelsWith" (list . "hookferry.selectorLabels" .Values.podLabels) | nindent 4 }}
spec:
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  serviceAccountName: {{ include "hookferry.serviceAccountName" . | quote }}
  automountServiceAccountToken: false
  # Service links would add variables with the program's prefix, HOOKFERRY_, to the pod.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "hookferry.gracePeriod" . }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  containers:
    - name: hookferry
      image: {{ include "hookferry.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      {{- if eq (toString .Values.workers) "1" }}
      args: [run]
      {{- else }}
      args: [run, --workers, {{ toString .Values.workers | quote }}]
      {{- end }}
      env:
        - name: HOOKFERRY_CONFIG
          value: /etc/hookferry/bridge.yaml
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: admin
          containerPort: {{ include "hookferry.adminPort" . }}
          protocol: TCP
      startupProbe:
        httpGet: {path: /healthz, port: admin, scheme: {{ include "hookferry.adminScheme" . }}}
        {{- toYaml .Values.probes.startup | nindent 8 }}
      livenessProbe:
        httpGet: {path: /healthz, port: admin, scheme: {{ include "hookferry.adminScheme" . }}}
        {{- toYaml .Values.probes.liveness | nindent 8 }}
      readinessProbe:
        httpGet: {path: /readyz, port: admin, scheme: {{ include "hookferry.adminScheme" . }}}
        {{- toYaml .Values.probes.readiness | nindent 8 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/hookferry
          readOnly: true
        - name: state
          mountPath: {{ include "hookferry.stateDir" . | quote }}
        - name: tmp
          mountPath: /tmp
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "hookferry.fullname" . | quote }}
    {{- if not .Values.persistence.enabled }}
    - name: state
      emptyDir:
        sizeLimit: {{ .Values.stateVolume.sizeLimit }}
    {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: 64Mi
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    {{- $own := dict "labelSelector" (dict "matchLabels" (include "hookferry.selectorLabels" $ | fromYaml)) }}
    {{- list (merge (deepCopy .) $own) | toYaml | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
