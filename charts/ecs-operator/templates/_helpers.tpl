{{/* Name of the application. */}}
{{- define "ecs-operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of all objects. */}}
{{- define "ecs-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trimSuffix "-" | replace "." "-" -}}
{{- else if contains (include "ecs-operator.name" .) .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" | replace "." "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ecs-operator.name" .) | trunc 53 | trimSuffix "-" | replace "." "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that select the pods. */}}
{{- define "ecs-operator.selector" -}}
app.kubernetes.io/name: {{ include "ecs-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "ecs-operator.labels" -}}
{{ include "ecs-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The same with more labels, which win over commonLabels. */}}
{{- define "ecs-operator.labelsAnd" -}}
{{- $selector := fromYaml (include "ecs-operator.selector" (index . 0)) -}}
{{- $labels := fromYaml (include "ecs-operator.labels" (index . 0)) -}}
{{- toYaml (merge $selector (index . 1) $labels) -}}
{{- end -}}

{{- define "ecs-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "ecs-operator.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name: name the ServiceAccount that is not to be created" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "ecs-operator.image" -}}
{{- $image := .Values.image -}}
{{- $tag := $image.tag -}}
{{- $digest := $image.digest -}}
{{- /* Whoever names neither gets what the chart was released with. */ -}}
{{- if not (or $tag $digest) -}}
{{- $tag = .Chart.AppVersion -}}
{{- $digest = index .Chart.Annotations "ecs-operator.dev/image-digest" -}}
{{- end -}}
{{- $image.repository }}{{ with $tag }}:{{ . }}{{ end }}{{ with $digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- define "ecs-operator.leaseNamespace" -}}
{{- .Values.leaderElection.namespace | default .Release.Namespace -}}
{{- end -}}

{{- define "ecs-operator.lease" -}}
{{- .Values.leaderElection.lease | default (include "ecs-operator.fullname" .) -}}
{{- end -}}

{{/* What no schema can say. */}}
{{- define "ecs-operator.check" -}}
{{- $watch := .Values.watch -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "replicaCount: more than one replica needs leaderElection.enabled=true, or they work against each other" -}}
{{- end -}}
{{- if and (eq $watch.scope "Namespaces") (not $watch.namespaces) -}}
{{- fail "watch.namespaces: name at least one namespace, or set watch.scope to Cluster" -}}
{{- end -}}
{{- if and (eq $watch.scope "Cluster") $watch.namespaces -}}
{{- fail "watch.scope: set it to Namespaces to look at watch.namespaces only" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.service.enabled) -}}
{{- fail "serviceMonitor.enabled: a ServiceMonitor needs service.enabled=true" -}}
{{- end -}}
{{- if and .Values.aws.roleArn (not .Values.serviceAccount.create) -}}
{{- fail "aws.roleArn: annotate the ServiceAccount that you bring yourself with eks.amazonaws.com/role-arn, and leave this empty" -}}
{{- end -}}
{{- range $labels := list .Values.commonLabels .Values.podLabels -}}
{{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart" -}}
{{- if hasKey $labels $label -}}
{{- fail (printf "commonLabels and podLabels: %s is the chart's; nameOverride changes the name" $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.aws.roleArn .Values.aws.credentialsSecret.name -}}
{{- fail "aws.roleArn: static keys in aws.credentialsSecret would win over the role; give one of them" -}}
{{- end -}}
{{- end -}}

{{/* Every flag of `ecs-operator run`. */}}
{{- define "ecs-operator.arguments" -}}
- run
{{- with .Values.aws.region }}
- --aws-region={{ . }}
{{- end }}
- --aws-quota-share={{ kindIs "bool" .Values.aws.quotaShare | ternary "off" .Values.aws.quotaShare }}
{{- with .Values.aws.eventQueueUrl }}
- --aws-event-queue-url={{ . }}
{{- end }}
- --sweep-active={{ .Values.sweep.active }}
- --sweep-steady={{ .Values.sweep.steady }}
- --sweep-task-definitions={{ .Values.sweep.taskDefinitions }}
{{- with .Values.watch.namespaces }}
- --watch-namespaces={{ join "," . }}
{{- end }}
{{- with .Values.watch.labelSelector }}
- --watch-label-selector={{ . }}
{{- end }}
{{- with .Values.clusterId }}
- --cluster-id={{ . }}
{{- end }}
{{- with .Values.formerClusterIds }}
- --former-cluster-ids={{ join "," . }}
{{- end }}
{{- with .Values.allowedClusters }}
- --allowed-clusters={{ join "," . }}
{{- end }}
- --concurrency={{ .Values.concurrency }}
{{- if .Values.leaderElection.enabled }}
- --leader-election
- --leader-election-namespace={{ include "ecs-operator.leaseNamespace" . }}
- --leader-election-lease={{ include "ecs-operator.lease" . }}
- --leader-election-duration={{ .Values.leaderElection.duration }}
{{- end }}
- --http-address=0.0.0.0:{{ .Values.http.port }}
- --log-format={{ .Values.log.format }}
- --log-filter={{ .Values.log.filter }}
{{- end -}}

{{/* The resources of all kinds, or the subresource of those that have it, as a YAML list: (list . "status"). */}}
{{- define "ecs-operator.resources" -}}
{{- $subresource := index . 1 -}}
{{- $resources := list -}}
{{- range splitList "---\n" ((index . 0).Files.Get "files/crds.yaml") -}}
{{- $crd := fromYaml . -}}
{{- if and $crd (not $subresource) -}}
{{- $resources = append $resources $crd.spec.names.plural -}}
{{- else if $crd -}}
{{- if hasKey ((first $crd.spec.versions).subresources) $subresource -}}
{{- $resources = append $resources (printf "%s/%s" $crd.spec.names.plural $subresource) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- sortAlpha $resources | toYaml -}}
{{- end -}}
