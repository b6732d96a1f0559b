import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments, parse as parseYaml } from 'yaml'
import * as z from 'zod/mini'
import type { Verb } from '../../support/kubernetes-api/routes.ts'
import { type Container, type Manifest, manifest, type Pod } from './schemas.ts'

export const KNATIVE = fileURLToPath(new URL('../../../knative', import.meta.url))

export const OVERLAYS = readdirSync(join(KNATIVE, 'overlays')).sort()
export const COMPONENTS = readdirSync(join(KNATIVE, 'components')).sort()

/** An overlay as `kubectl apply -k` would send it. Throws with what is wrong where it is not as the schemas have it. */
export function renderOverlay(name: string): readonly Manifest[] {
  return parse(renderText(name))
}

export const renderText = (overlay: string): string => kustomize(KNATIVE, overlay)

/**
 * An overlay with further components in its list, as docs/deploy.md has them put there: `broker-input` first, since
 * others change what it brings, a way of polling or a store in place of the overlay's own, all others last.
 */
export function renderWith(overlay: string, components: readonly string[]): readonly Manifest[] {
  return parse(renderTextWith(overlay, components))
}

export function renderTextWith(overlay: string, components: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'ptp-watch-kustomize-'))
  try {
    cpSync(KNATIVE, folder, { recursive: true })
    const file = join(folder, 'overlays', overlay, 'kustomization.yaml')
    const own = kustomization.parse(parseYaml(readFileSync(file, 'utf8')))
    const [first, last] = [components.filter(isFirst), components.filter((name) => !isFirst(name))]
    const path = (name: string) => `../../components/${name}`
    const kept = own.components.filter((one) => !components.some((other) => exclude(basename(one), other)))
    const all = [...first.map(path), ...kept, ...last.map(path)]
    writeFileSync(file, JSON.stringify({ ...own, components: all }))
    return kustomize(folder, overlay)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const kustomization = z.looseObject({
  resources: z.array(z.string()),
  components: z._default(z.array(z.string()), []),
})

/** Of each group a cluster has one: what is added takes the place of the overlay's own. */
const GROUPS = [/^poll-(cronjob|pingsource|deployment)$/, /^state-/]

export const exclude = (one: string, other: string) =>
  GROUPS.some((group) => group.test(one) && group.test(other))

/** The components that an overlay has in its own list, and those of the overlays under it. */
export function componentsOf(overlay: string): { own: readonly string[]; under: readonly string[] } {
  const file = join(KNATIVE, 'overlays', overlay, 'kustomization.yaml')
  const { resources, components } = kustomization.parse(parseYaml(readFileSync(file, 'utf8')))
  const overlays = resources.map((path) => basename(path)).filter((name) => OVERLAYS.includes(name))
  const under = overlays.map(componentsOf).flatMap((each) => [...each.own, ...each.under])
  return { own: components.map((path) => basename(path)), under }
}
const isFirst = (component: string) =>
  ['broker-input', 'poll-deployment', 'node-conditions'].includes(component)

/** What was rendered before, by what was rendered: seven files ask for the same. */
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/kustomize', import.meta.url))

/** Needs kubectl in PATH; no cluster. `root` is the folder that holds `overlays` and all that they refer to. */
function kustomize(root: string, overlay: string): string {
  const hash = createHash('sha256').update(overlay)
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(root, name)
    if (statSync(path).isFile()) hash.update(`\n${name}\n`).update(readFileSync(path))
  }
  const file = join(CACHE, `${hash.digest('hex')}.yaml`)
  if (existsSync(file)) return readFileSync(file, 'utf8')
  const args = ['kustomize', join(root, 'overlays', overlay)]
  const text = execFileSync('kubectl', args, { encoding: 'utf8', stdio: 'pipe' })
  mkdirSync(CACHE, { recursive: true })
  // Whole or not at all: other files of the suite look for it at the same time.
  writeFileSync(`${file}.${process.pid}`, text)
  renameSync(`${file}.${process.pid}`, file)
  return text
}

/** Manifests, each of which the schemas take. */
export function parse(text: string): readonly Manifest[] {
  return parseAllDocuments(text).map((document) => {
    const value: unknown = document.toJS()
    const result = manifest.safeParse(value)
    if (result.success) return result.data
    throw new Error(`${JSON.stringify(value, null, 1)}\n${z.prettifyError(result.error)}`)
  })
}

export function ofKind<K extends Manifest['kind'], V extends Manifest['apiVersion']>(
  manifests: readonly Manifest[],
  kind: K,
  apiVersion?: V,
): Extract<Manifest, { kind: K; apiVersion: V }>[] {
  const fits = (each: Manifest): each is Extract<Manifest, { kind: K; apiVersion: V }> =>
    each.kind === kind && (apiVersion === undefined || each.apiVersion === apiVersion)
  return manifests.filter(fits)
}

export type Workload = {
  /** `Service/ingest`, say. */
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
  readonly pod: Pod
}

/** All that makes pods. */
export function workloads(manifests: readonly Manifest[]): Workload[] {
  return manifests.flatMap((each) => {
    const template = templateOf(each)
    if (template === undefined) return []
    return { id: `${each.kind}/${each.metadata.name}`, labels: template.metadata.labels, pod: template.spec }
  })
}

function templateOf(each: Manifest) {
  switch (each.kind) {
    case 'Deployment':
    case 'StatefulSet':
    case 'Job':
      return each.spec.template
    case 'CronJob':
      return each.spec.jobTemplate.spec.template
    case 'JobSink':
      return each.spec.job.spec.template
    case 'Service':
      return each.apiVersion === 'v1' ? undefined : each.spec.template
    default:
      return undefined
  }
}

export type FunctionContainer = { readonly workload: Workload; readonly container: Container }

/** The containers that run one of our functions: those of our image with arguments. */
export function functionContainers(manifests: readonly Manifest[]): FunctionContainer[] {
  return workloads(manifests).flatMap((workload) =>
    workload.pod.containers
      .filter(({ image, args }) => /\/ptp-watch[@:]/.test(image) && args !== undefined)
      .map((container) => ({ workload, container })),
  )
}

/** What the process of a container would see; values of Secrets come from `secrets`, by `<name>/<key>`. */
export function environmentOf(
  manifests: readonly Manifest[],
  container: Container,
  secrets: Readonly<Record<string, string>>,
): Record<string, string> {
  const found: Record<string, string> = {}
  for (const source of container.envFrom ?? []) {
    if (!('configMapRef' in source)) continue
    const map = ofKind(manifests, 'ConfigMap', 'v1').find(
      ({ metadata }) => metadata.name === source.configMapRef.name,
    )
    Object.assign(found, map?.data)
  }
  for (const each of container.env ?? []) {
    if ('value' in each) found[each.name] = each.value
    else if ('secretKeyRef' in each.valueFrom) {
      const { name, key } = each.valueFrom.secretKeyRef
      const value = secrets[`${name}/${key}`]
      if (value === undefined) throw new Error(`No Secret ${name} with the key ${key} is documented`)
      found[each.name] = value
    }
  }
  return found
}

/** What a service account may do with a resource: by its Roles in its own namespace, unless another is named, and by its ClusterRoles. */
export function verbsOf(
  manifests: readonly Manifest[],
  account: string,
  { resource, namespace = namespaceOf(manifests, account) }: { resource: string; namespace?: string },
): Set<Verb> {
  const holds = ({ subjects }: { subjects: readonly { name: string }[] }) =>
    subjects.some(({ name }) => name === account)
  const bound = [
    ...ofKind(manifests, 'RoleBinding', 'rbac.authorization.k8s.io/v1').filter(
      ({ metadata }) => metadata.namespace === namespace,
    ),
    ...ofKind(manifests, 'ClusterRoleBinding', 'rbac.authorization.k8s.io/v1'),
  ]
    .filter(holds)
    .map(({ roleRef }) => `${roleRef.kind} ${roleRef.name}`)
  const roles = [
    ...ofKind(manifests, 'Role', 'rbac.authorization.k8s.io/v1').filter(
      ({ metadata }) => metadata.namespace === namespace,
    ),
    ...ofKind(manifests, 'ClusterRole', 'rbac.authorization.k8s.io/v1'),
  ].filter(({ kind, metadata }) => bound.includes(`${kind} ${metadata.name}`))
  const rules = roles.flatMap(({ rules }) => rules).filter(({ resources }) => resources.includes(resource))
  return new Set(rules.flatMap(({ verbs }) => verbs))
}

function namespaceOf(manifests: readonly Manifest[], account: string): string {
  const found = ofKind(manifests, 'ServiceAccount', 'v1').find(({ metadata }) => metadata.name === account)
  if (found === undefined) throw new Error(`There is no service account ${account}`)
  return found.metadata.namespace
}
