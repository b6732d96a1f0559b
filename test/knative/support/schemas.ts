import * as z from 'zod/mini'

/**
 * The fields that our manifests use, kind by kind, and none besides: a field that is misspelt, or that Knative refuses
 * in its Services (knative.md §2.1), is not in here.
 */

const text = z.string().check(z.minLength(1))
const whole = z.int().check(z.nonnegative())
const labels = z.record(z.string(), z.string())
/** RFC 1123, and no template or prefix that was left over. */
const name = z.string().check(z.regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/))
const quantity = z.string().check(z.regex(/^\d+(m|Mi|Gi)?$/))
const duration = z.string().check(z.regex(/^PT\d+(\.\d+)?S$/))
/** As Prometheus writes them. */
const seconds = z.string().check(z.regex(/^\d+[sm]$/))
const meta = z.strictObject({
  name,
  namespace: z.optional(name),
  labels: z.optional(labels),
  annotations: z.optional(labels),
})
const placed = z.extend(meta, { namespace: name })
/** Of what belongs to no namespace. */
const unplaced = z.extend(meta, { namespace: z.optional(z.undefined()) })

const valueFrom = z.union([
  z.strictObject({ secretKeyRef: z.strictObject({ name, key: text }) }),
  z.strictObject({
    fieldRef: z.strictObject({ fieldPath: z.enum(['spec.nodeName', 'status.hostIP', 'status.podIP']) }),
  }),
])
const env = z.array(
  z.union([z.strictObject({ name: text, value: z.string() }), z.strictObject({ name: text, valueFrom })]),
)
const envFrom = z.array(
  z.union([
    z.strictObject({ configMapRef: z.strictObject({ name }) }),
    z.strictObject({ secretRef: z.strictObject({ name }) }),
  ]),
)

const times = {
  periodSeconds: z.optional(whole),
  timeoutSeconds: z.optional(whole),
  failureThreshold: z.optional(whole),
}
const probe = z.union([
  z.strictObject({
    httpGet: z.strictObject({ path: text, port: z.union([text, whole]) }),
    ...times,
  }),
  z.strictObject({ tcpSocket: z.strictObject({ port: z.union([text, whole]) }), ...times }),
])
const amounts = z.strictObject({ cpu: quantity, memory: quantity })

const container = z.strictObject({
  name,
  image: text,
  command: z.optional(z.array(z.string())),
  args: z.optional(z.array(z.string())),
  env: z.optional(env),
  envFrom: z.optional(envFrom),
  ports: z.optional(z.array(z.strictObject({ name: z.optional(text), containerPort: whole }))),
  readinessProbe: z.optional(probe),
  livenessProbe: z.optional(probe),
  resources: z.strictObject({ requests: amounts, limits: amounts }),
  securityContext: z.optional(
    z.strictObject({
      allowPrivilegeEscalation: z.literal(false),
      readOnlyRootFilesystem: z.literal(true),
      runAsNonRoot: z.literal(true),
      capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
      seccompProfile: z.strictObject({ type: z.literal('RuntimeDefault') }),
    }),
  ),
  volumeMounts: z.optional(
    z.array(
      z.strictObject({
        name,
        mountPath: text,
        subPath: z.optional(text),
        readOnly: z.optional(z.literal(true)),
      }),
    ),
  ),
})

const items = z.optional(z.array(z.strictObject({ key: text, path: text })))
const volume = z.union([
  z.strictObject({ name, configMap: z.strictObject({ name, items }) }),
  z.strictObject({ name, secret: z.strictObject({ secretName: name, items }) }),
  z.strictObject({ name, emptyDir: z.strictObject({}) }),
  z.strictObject({
    name,
    projected: z.strictObject({
      sources: z.array(
        z.union([
          z.strictObject({ secret: z.strictObject({ name, items }) }),
          z.strictObject({
            serviceAccountToken: z.strictObject({
              path: text,
              audience: z.optional(text),
              expirationSeconds: whole,
            }),
          }),
        ]),
      ),
    }),
  }),
])

const inEveryPod = {
  serviceAccountName: z.optional(name),
  automountServiceAccountToken: z.optional(z.literal(false)),
  enableServiceLinks: z.literal(false),
  volumes: z.optional(z.array(volume)),
}

/** What a pod of plain Kubernetes may have beside. */
const pod = z.strictObject({
  ...inEveryPod,
  containers: z.array(container).check(z.minLength(1)),
  nodeSelector: z.optional(labels),
  restartPolicy: z.optional(z.enum(['Never', 'OnFailure'])),
  terminationGracePeriodSeconds: z.optional(whole),
  securityContext: z.optional(z.strictObject({ runAsUser: whole, fsGroup: whole })),
})

const templateMeta = z.strictObject({ labels, annotations: z.optional(labels) })
const podTemplate = z.strictObject({ metadata: templateMeta, spec: pod })
const selector = z.strictObject({ matchLabels: labels })

const job = z.strictObject({
  backoffLimit: z.optional(whole),
  /** In the place of backoffLimit, for an Indexed Job whose pods do not depend on each other. */
  backoffLimitPerIndex: z.optional(whole),
  completionMode: z.optional(z.literal('Indexed')),
  completions: z.optional(whole),
  parallelism: z.optional(whole),
  activeDeadlineSeconds: z.optional(whole),
  ttlSecondsAfterFinished: z.optional(whole),
  template: podTemplate,
})

const ref = z.strictObject({ apiVersion: text, kind: text, name })
const destination = z.strictObject({ ref, uri: z.optional(z.string().check(z.startsWith('/'))) })
const delivery = z.strictObject({
  retry: whole,
  backoffPolicy: z.enum(['exponential', 'linear']),
  backoffDelay: duration,
  timeout: duration,
  deadLetterSink: z.strictObject({ ref }),
})
const cron = z.string().check(z.regex(/^([\d*/,-]+ ){4}[\d*/,-]+$/))

const rules = z.array(
  z.strictObject({
    apiGroups: z.array(z.string()),
    resources: z.array(text),
    resourceNames: z.optional(z.array(name)),
    verbs: z.array(z.enum(['get', 'list', 'create', 'patch', 'delete'])),
  }),
)
const subjects = z.array(z.strictObject({ kind: z.literal('ServiceAccount'), name, namespace: name }))

const typeFilter = z.strictObject({ type: text })
const filter = z.union([
  z.strictObject({ not: z.strictObject({ prefix: typeFilter }) }),
  z.strictObject({
    any: z.array(z.union([z.strictObject({ prefix: typeFilter }), z.strictObject({ exact: typeFilter })])),
  }),
])

const peer = z.union([
  z.strictObject({
    namespaceSelector: z.union([
      selector,
      z.strictObject({
        matchExpressions: z.array(
          z.strictObject({ key: text, operator: z.literal('In'), values: z.array(name) }),
        ),
      }),
    ]),
  }),
  z.strictObject({ podSelector: selector }),
])

const ports = z.optional(z.array(z.strictObject({ protocol: z.literal('TCP'), port: whole })))

function object<const V extends string, const K extends string, S extends z.core.$ZodLooseShape>(
  apiVersion: V,
  kind: K,
  rest: S,
) {
  return z.strictObject({
    apiVersion: z.literal(apiVersion),
    kind: z.literal(kind),
    metadata: placed,
    ...rest,
  })
}

export const manifest = z.union([
  z.extend(object('v1', 'Namespace', {}), { metadata: meta }),
  object('v1', 'ServiceAccount', { automountServiceAccountToken: z.boolean() }),
  object('v1', 'ConfigMap', { data: z._default(z.record(text, z.string()), {}) }),
  object('v1', 'Service', {
    spec: z.strictObject({
      type: z.optional(z.literal('ClusterIP')),
      clusterIP: z.optional(z.literal('None')),
      sessionAffinity: z.optional(z.literal('None')),
      selector: labels,
      ports: z.array(
        z.strictObject({ name: text, port: whole, targetPort: z.optional(z.union([text, whole])) }),
      ),
    }),
  }),
  object('apps/v1', 'Deployment', {
    spec: z.strictObject({
      replicas: z.literal(1),
      strategy: z.strictObject({ type: z.literal('Recreate') }),
      selector,
      template: podTemplate,
    }),
  }),
  object('apps/v1', 'StatefulSet', {
    spec: z.strictObject({
      serviceName: name,
      replicas: z.literal(1),
      selector,
      template: podTemplate,
      volumeClaimTemplates: z.array(
        z.strictObject({
          metadata: z.strictObject({ name }),
          spec: z.strictObject({
            accessModes: z.tuple([z.literal('ReadWriteOnce')]),
            resources: z.strictObject({ requests: z.strictObject({ storage: quantity }) }),
          }),
        }),
      ),
    }),
  }),
  object('batch/v1', 'Job', { spec: job }),
  object('batch/v1', 'CronJob', {
    spec: z.strictObject({
      schedule: cron,
      timeZone: z.literal('Etc/UTC'),
      concurrencyPolicy: z.literal('Forbid'),
      startingDeadlineSeconds: whole,
      successfulJobsHistoryLimit: whole,
      failedJobsHistoryLimit: whole,
      jobTemplate: z.strictObject({ metadata: templateMeta, spec: job }),
    }),
  }),
  object('rbac.authorization.k8s.io/v1', 'Role', { rules }),
  object('rbac.authorization.k8s.io/v1', 'RoleBinding', {
    roleRef: z.strictObject({ apiGroup: text, kind: z.literal('Role'), name }),
    subjects,
  }),
  z.extend(object('rbac.authorization.k8s.io/v1', 'ClusterRole', { rules }), { metadata: unplaced }),
  z.extend(
    object('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', {
      roleRef: z.strictObject({ apiGroup: text, kind: z.literal('ClusterRole'), name }),
      subjects,
    }),
    { metadata: unplaced },
  ),
  object('networking.k8s.io/v1', 'NetworkPolicy', {
    spec: z.strictObject({
      podSelector: z.union([
        z.strictObject({}),
        selector,
        z.strictObject({
          matchExpressions: z.array(
            z.strictObject({ key: text, operator: z.literal('In'), values: z.array(text) }),
          ),
        }),
      ]),
      policyTypes: z.tuple([z.literal('Ingress')]),
      ingress: z.optional(z.array(z.strictObject({ from: z.array(peer), ports }))),
    }),
  }),
  object('serving.knative.dev/v1', 'Service', {
    spec: z.strictObject({
      template: z.strictObject({
        metadata: templateMeta,
        spec: z.strictObject({
          ...inEveryPod,
          containerConcurrency: whole,
          // Less would cut the 30 s that Knative lets pass before SIGTERM (knative.md §2.2).
          timeoutSeconds: z.int().check(z.gte(45)),
          containers: z.tuple([container]),
        }),
      }),
    }),
  }),
  object('monitoring.coreos.com/v1', 'PodMonitor', {
    spec: z.strictObject({
      selector,
      podMetricsEndpoints: z.array(
        z.strictObject({ port: text, path: z.literal('/metrics'), interval: seconds }),
      ),
    }),
  }),
  object('monitoring.coreos.com/v1', 'PrometheusRule', {
    spec: z.strictObject({
      groups: z.array(
        z.strictObject({
          name,
          interval: seconds,
          rules: z.array(
            z.strictObject({
              alert: text,
              expr: text,
              for: z.optional(seconds),
              keep_firing_for: z.optional(seconds),
              labels,
              annotations: labels,
            }),
          ),
        }),
      ),
    }),
  }),
  object('eventing.knative.dev/v1', 'Broker', { spec: z.strictObject({ delivery }) }),
  object('eventing.knative.dev/v1', 'Trigger', {
    spec: z.strictObject({
      broker: name,
      filters: z.array(filter),
      subscriber: destination,
      delivery,
    }),
  }),
  object('eventing.knative.dev/v1alpha1', 'EventPolicy', {
    spec: z.strictObject({
      to: z.array(z.strictObject({ ref })),
      from: z.array(z.strictObject({ sub: z.string().check(z.startsWith('system:serviceaccount:')) })),
    }),
  }),
  object('sinks.knative.dev/v1alpha1', 'JobSink', {
    spec: z.strictObject({
      job: z.strictObject({ metadata: z.strictObject({ labels }), spec: job }),
    }),
  }),
  object('sources.knative.dev/v1', 'PingSource', {
    spec: z.strictObject({
      schedule: cron,
      timezone: z.literal('Etc/UTC'),
      contentType: z.literal('application/json'),
      data: text,
      sink: destination,
    }),
  }),
  object('sources.knative.dev/v1', 'SinkBinding', {
    spec: z.strictObject({
      subject: z.union([ref, z.strictObject({ apiVersion: text, kind: text, selector })]),
      sink: destination,
    }),
  }),
])

export type Filter = z.output<typeof filter>
export type Manifest = z.output<typeof manifest>
export type Container = z.output<typeof container>
export type Pod = Pick<z.output<typeof pod>, keyof typeof inEveryPod | 'containers'>
