{{/* Names, labels and images. Nothing here renders a document. */}}

{{- define "towline.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for what is put behind it: StatefulSets add an ordinal, and a revision as a label of at most 63. */}}
{{- define "towline.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "towline.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "towline.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of pods and their selectors: these never change, as a StatefulSet's selector can't. Takes {root, role}. */}}
{{- define "towline.selector" -}}
app.kubernetes.io/name: {{ include "towline.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .role }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "towline.labels" -}}
{{ include "towline.selector" . }}
app.kubernetes.io/part-of: towline
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "towline.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* All namespaces that jobs run in, comma separated. */}}
{{- define "towline.jobNamespaces" -}}
{{- $all := prepend (values .Values.jobs.projectNamespaces | sortAlpha) .Values.jobs.namespace | uniq -}}
{{- if has .Release.Namespace $all -}}
{{- fail (printf "jobs.namespace: jobs must not run in %s, the platform's own namespace: its Secrets and quota would be theirs. Name another one." .Release.Namespace) -}}
{{- end -}}
{{- join "," $all -}}
{{- end -}}

{{- define "towline.webHost" -}}
{{ include "towline.fullname" . }}-web.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* `localhost` first: by that name probes ask. */}}
{{- define "towline.allowedHosts" -}}
{{- $service := printf "%s-web" (include "towline.fullname" .) -}}
{{- $inside := list "localhost" "127.0.0.1" $service (printf "%s.%s" $service .Release.Namespace) (include "towline.webHost" .) (printf "%s.cluster.local" (include "towline.webHost" .)) -}}
{{- $outside := .Values.allowedHosts -}}
{{- if .Values.ingress.enabled -}}
{{- $outside = concat .Values.ingress.hosts $outside -}}
{{- end -}}
{{- if include "towline.scraped" . -}}
{{- $outside = append $outside "$(POD_IP)" -}}
{{- end -}}
{{- concat $inside $outside | uniq | join "," -}}
{{- end -}}

{{/* Whether Prometheus asks web; empty for no. */}}
{{- define "towline.scraped" -}}
{{- if and .Values.serviceMonitor.enabled (eq .Values.serviceMonitor.of "web") -}}
yes
{{- end -}}
{{- end -}}

{{/* Whether users come over TLS; empty for no. Web would else refuse the forms that they send from there. */}}
{{- define "towline.https" -}}
{{- $found := "" -}}
{{- if .Values.ingress.enabled -}}
{{- range .Values.ingress.tls -}}
{{- if not .hosts -}}{{- $found = "yes" -}}{{- end -}}
{{- range .hosts -}}{{- if has . $.Values.ingress.hosts -}}{{- $found = "yes" -}}{{- end -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if kindIs "bool" .Values.https -}}{{- $found = ternary "yes" "" .Values.https -}}{{- end -}}
{{- $found -}}
{{- end -}}

{{- define "towline.serviceUrl" -}}
{{- if .Values.jobs.serviceUrl -}}
{{ .Values.jobs.serviceUrl }}
{{- else if not (include "towline.https" .) -}}
http://{{ include "towline.webHost" . }}:{{ .Values.web.service.port }}
{{- else if and .Values.ingress.enabled .Values.ingress.hosts -}}
https://{{ first .Values.ingress.hosts }}
{{- end -}}
{{- end -}}

{{- define "towline.flowerUrl" -}}
{{- if .Values.flower.url -}}
{{ .Values.flower.url }}
{{- else if and .Values.flower.enabled .Values.ingress.enabled .Values.ingress.flowerHost -}}
{{ ternary "https" "http" (include "towline.https" . | eq "yes") }}://{{ .Values.ingress.flowerHost }}
{{- end -}}
{{- end -}}
