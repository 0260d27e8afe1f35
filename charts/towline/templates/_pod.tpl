{{/*
The pod of every role: one image, told by its arguments what it is; no root, nothing writable but /tmp, /data and /logs.
Takes {root, role, args, env, ports, probes, logs, token, account, grace, restart, lifecycle, kubeconfig}; of these, root, role
and args must be there.
*/}}
{{- define "towline.pod" -}}
{{- $values := get .root.Values .role -}}
metadata:
  labels:
    {{- include "towline.selector" . | nindent 4 }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .account }}
  serviceAccountName: {{ . }}
  {{- end }}
  automountServiceAccountToken: {{ .token | default false }}
  # Variables by the names of Services would be taken for settings.
  enableServiceLinks: false
  {{- with .restart }}
  restartPolicy: {{ . }}
  {{- end }}
  # Longer than a role takes to hand over what it has; jobs run on.
  terminationGracePeriodSeconds: {{ .grace | default 30 }}
  securityContext:
    {{- include "towline.podSecurity" . | nindent 4 }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- include "towline.whereabouts" (dict "root" .root "role" .role "values" $values) | trim | nindent 2 }}
  containers:
    - name: {{ .role }}
      image: {{ include "towline.image" .root | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: {{ toJson .args }}
      securityContext:
        {{- include "towline.containerSecurity" . | nindent 8 }}
      env:
        {{- include "towline.env" .root | nindent 8 }}
        {{- with .env }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with $values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .ports }}
      ports:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .probes }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with .lifecycle }}
      lifecycle:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
        {{- if and .logs (eq .root.Values.logs.storage "volume") }}
        - {name: logs, mountPath: /logs}
        {{- end }}
        {{- if .kubeconfig }}
        - {name: kubeconfig, mountPath: /etc/towline, readOnly: true}
        {{- end }}
  volumes:
    - name: data
      emptyDir: {sizeLimit: {{ $values.dataSize }}}
    - name: tmp
      emptyDir: {sizeLimit: 1Gi}
    {{- if and .logs (eq .root.Values.logs.storage "volume") }}
    - name: logs
      persistentVolumeClaim:
        claimName: {{ default (printf "%s-logs" (include "towline.fullname" .root)) .root.Values.logs.volume.existingClaim }}
    {{- end }}
    {{- if .kubeconfig }}
    - name: kubeconfig
      secret:
        secretName: {{ .root.Values.run.kubeconfig.existingSecret }}
        items: [{key: {{ .root.Values.run.kubeconfig.key }}, path: kubeconfig}]
    {{- end }}
{{- end -}}

{{- define "towline.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
# Not file by file at every start: finished logs are many.
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "towline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "towline.whereabouts" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- with .values.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "towline.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* Of a role without a door: its process is there. That it hears its queue it sees itself, and ends if not. */}}
{{- define "towline.execProbe" -}}
livenessProbe:
  exec: {command: [python, -I, platform/towline/healthcheck.py]}
  initialDelaySeconds: 30
  periodSeconds: 30
  timeoutSeconds: 10
{{- end -}}

{{/* By a name that web answers to, and over what it takes for TLS: else a probe sees 400, or follows a redirect. */}}
{{- define "towline.askWeb" -}}
httpGet:
  path: {{ . }}
  port: http
  httpHeaders:
    - {name: Host, value: localhost}
    - {name: X-Forwarded-Proto, value: https}
{{- end -}}
