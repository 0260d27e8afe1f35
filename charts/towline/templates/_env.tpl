{{/* The environment of all roles. Every name is one of docs/settings.md; secrets come by reference alone. */}}

{{/* {root, env, secret, why}: a variable out of an existing Secret. */}}
{{- define "towline.fromSecret" -}}
{{- $of := get .root.Values.secrets .secret -}}
{{- $name := default .root.Values.secrets.existingSecret $of.existingSecret -}}
- name: {{ .env }}
  valueFrom:
    secretKeyRef:
      name: {{ required (printf "secrets.existingSecret: name a Secret in namespace %s whose key %s holds %s (or set secrets.%s.existingSecret). Make one with: kubectl -n %s create secret generic towline --from-literal=%s=…" .root.Release.Namespace $of.key .why .secret .root.Release.Namespace $of.key) $name }}
      key: {{ $of.key }}
{{- end -}}

{{- define "towline.env" -}}
{{- $root := . -}}
- {name: TOWLINE_MODE, value: production}
{{- if include "towline.scraped" . }}
# Prometheus asks each pod by its address, and web answers to names that it knows.
- name: POD_IP
  valueFrom:
    fieldRef: {fieldPath: status.podIP}
{{- end }}
{{ include "towline.fromSecret" (dict "root" . "env" "TOWLINE_SECRET_KEY" "secret" "secretKey" "why" "at least 32 characters that sign sessions and encrypt secrets") }}
{{- if .Values.secrets.secretKeyFallbacks.key }}
{{ include "towline.fromSecret" (dict "root" . "env" "TOWLINE_SECRET_KEY_FALLBACKS" "secret" "secretKeyFallbacks" "why" "the secret keys of before") }}
{{- end }}
{{ include "towline.fromSecret" (dict "root" . "env" "DATABASE_URL" "secret" "databaseUrl" "why" "postgresql://user:password@host:5432/name") }}
{{ include "towline.fromSecret" (dict "root" . "env" "REDIS_URL" "secret" "redisUrl" "why" "redis://:password@host:6379/0") }}
{{- if .Values.secrets.brokerUrl.key }}
{{ include "towline.fromSecret" (dict "root" . "env" "CELERY_BROKER_URL" "secret" "brokerUrl" "why" "the URL of Celery's broker") }}
{{- end }}
{{- $plain := dict -}}
{{- $plain = merge $plain (include "towline.plain" . | fromYaml) }}
{{- range $name := keys $plain | sortAlpha }}
{{- with get $plain $name }}
- {name: {{ $name }}, value: {{ . | quote }}}
{{- end }}
{{- end }}
{{- if eq .Values.logs.storage "s3" }}
{{- include "towline.bucket" . }}
{{- end }}
{{- $ours := concat (keys $plain) (list "TOWLINE_MODE" "TOWLINE_SECRET_KEY" "TOWLINE_SECRET_KEY_FALLBACKS" "TOWLINE_RUNTIMES" "TOWLINE_WORKER_NAME" "TOWLINE_SLOTS" "TOWLINE_REGION" "TOWLINE_LABELS" "TOWLINE_KUBERNETES_CONTEXTS" "TOWLINE_DATA_DIR" "TOWLINE_STATIC_DIR") -}}
{{- range $name := keys .Values.settings | sortAlpha }}
{{- if has $name $ours }}
{{- fail (printf "settings.%s: the chart sets this one itself, by a value of its own. See README.md." $name) }}
{{- end }}
{{- with include "towline.text" (get $root.Values.settings $name) }}
- {name: {{ $name }}, value: {{ . | quote }}}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What comes from values, by name. An empty one is left out, which counts as unset. */}}
{{- define "towline.plain" -}}
TOWLINE_ALLOWED_HOSTS: {{ include "towline.allowedHosts" . | quote }}
TOWLINE_HTTPS: {{ include "towline.https" . | eq "yes" | quote }}
TOWLINE_LOG_LEVEL: {{ .Values.logLevel | quote }}
TOWLINE_LOG_FORMAT: {{ .Values.logFormat | quote }}
TOWLINE_ADOPTION_GRACE_SECONDS: {{ include "towline.text" .Values.adoptionGraceSeconds | quote }}
TOWLINE_FLOWER_URL: {{ include "towline.flowerUrl" . | quote }}
TOWLINE_LOG_STORAGE: {{ include "towline.logStorage" . | quote }}
ENABLE_DB_TRACING: {{ .Values.tracing.enabled | quote }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ .Values.tracing.otlpEndpoint | quote }}
{{- with .Values.jobs }}
TOWLINE_KUBERNETES_NAMESPACE: {{ .namespace | quote }}
TOWLINE_KUBERNETES_RUN_AS: {{ include "towline.text" .runAs | quote }}
TOWLINE_KUBERNETES_TOLERATIONS: {{ (empty .tolerations | ternary "" (toJson .tolerations)) | quote }}
TOWLINE_KUBERNETES_PRIORITY_CLASS: {{ .priorityClassName | quote }}
TOWLINE_KUBERNETES_PULL_SECRETS: {{ join "," .pullSecrets | quote }}
TOWLINE_KUBERNETES_PULL_POLICY: {{ .pullPolicy | quote }}
TOWLINE_KUBERNETES_SERVICE_URL: {{ include "towline.serviceUrl" $ | quote }}
TOWLINE_KUBERNETES_NAMESPACES: {{ include "towline.pairs" .projectNamespaces | quote }}
{{- end }}
{{- end -}}

{{/* A value as it was written: Helm reads numbers as floats, and would write 1000650000 as 1.00065e+09. */}}
{{- define "towline.text" -}}
{{- if and (kindIs "float64" .) (eq . (float64 (int64 .))) -}}
{{ int64 . }}
{{- else -}}
{{ . }}
{{- end -}}
{{- end -}}

{{- define "towline.pairs" -}}
{{- $pairs := list -}}
{{- range $key := keys . | sortAlpha -}}
{{- $pairs = append $pairs (printf "%s=%s" $key (include "towline.text" (get $ $key))) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{- define "towline.logStorage" -}}
{{- if eq .Values.logs.storage "s3" -}}
{{- $bucket := required "logs.s3.bucket: name the bucket for finished logs, or set logs.storage to none or volume." .Values.logs.s3.bucket -}}
s3://{{ $bucket }}{{ with .Values.logs.s3.prefix }}/{{ trimPrefix "/" . }}{{ end }}
{{- else if eq .Values.logs.storage "volume" -}}
/logs
{{- end -}}
{{- end -}}

{{- define "towline.bucket" -}}
{{- with .Values.logs.s3 }}
{{- with .endpointUrl }}
- {name: AWS_ENDPOINT_URL, value: {{ . | quote }}}
{{- end }}
{{- with .region }}
- {name: AWS_DEFAULT_REGION, value: {{ . | quote }}}
{{- end }}
{{- if .existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret }}, key: {{ .accessKeyIdKey }}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret }}, key: {{ .secretAccessKeyKey }}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "towline.runEnv" -}}
- {name: TOWLINE_RUNTIMES, value: kubernetes}
- name: POD_NAME
  valueFrom:
    fieldRef: {fieldPath: metadata.name}
- {name: TOWLINE_WORKER_NAME, value: {{ .Values.run.workerName | quote }}}
- {name: TOWLINE_SLOTS, value: {{ .Values.run.slots | quote }}}
{{- with .Values.run.region }}
- {name: TOWLINE_REGION, value: {{ . | quote }}}
{{- end }}
{{- with include "towline.pairs" .Values.run.labels }}
- {name: TOWLINE_LABELS, value: {{ . | quote }}}
{{- end }}
{{- with .Values.run.kubeconfig }}
{{- if and .existingSecret (not .contexts) }}
{{- fail "run.kubeconfig.contexts: name the contexts that jobs go to. Without any, they go to this cluster, and nobody reads the kubeconfig." }}
{{- else if and .contexts (not .existingSecret) }}
{{- fail "run.kubeconfig.existingSecret: name the Secret with the kubeconfig that has these contexts." }}
{{- else if .existingSecret }}
- {name: KUBECONFIG, value: /etc/towline/kubeconfig}
- {name: TOWLINE_KUBERNETES_CONTEXTS, value: {{ join "," .contexts | quote }}}
{{- end }}
{{- end }}
{{- end -}}
