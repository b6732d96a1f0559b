import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod/mini'
import type { Env } from '../../runtime/processes.ts'

/** A file system with Node.js, the libraries that it is linked with, and a folder of ours. */
export type Image = {
  /** Runs it as `docker run --read-only --user 1000650000:0` would: `args` are those of the container. */
  run(args: readonly string[], env?: Env): ChildProcess
  /** Runs this command instead of the entry point, as `command` of a container does. */
  execute(command: readonly string[]): ChildProcess
  /** Runs this script instead of the entry point. */
  evaluate(script: string, env?: Env): ChildProcess
  /** Puts a file into it, as a mounted volume would; `path` is absolute, and is what it is called inside. */
  mount(path: string, text: string): void
  remove(): void
}

/** What the Containerfile says of the container that it makes: its last stage. */
export type Recipe = {
  readonly entryPoint: readonly string[]
  readonly env: Env
  readonly user: string
  /** The instructions, in order. */
  readonly instructions: readonly string[]
  /** What the first stage copies from the project: files and folders. */
  readonly copied: readonly string[]
}

export function readRecipe(): Recipe {
  const file = readFileSync(new URL('../../../Containerfile', import.meta.url), 'utf8')
  const first = file.slice(0, file.lastIndexOf('\nFROM '))
  const last = file.slice(first.length)
  const of = (word: string) =>
    Array.from(last.matchAll(new RegExp(`^${word} (.+)$`, 'gm')), ([, rest = '']) => rest)
  return {
    entryPoint: z.array(z.string()).parse(JSON.parse(of('ENTRYPOINT')[0] ?? '')),
    env: Object.fromEntries(of('ENV').map((pair) => pair.split('=', 2))),
    user: of('USER')[0] ?? '',
    copied: Array.from(first.matchAll(/^COPY (.+) \S+$/gm), ([, paths = '']) => paths.split(' ')).flat(),
    instructions: Array.from(last.matchAll(/^([A-Z]+) /gm), ([, word = '']) => word),
  }
}

/** The user that OpenShift would make up: in no passwd, of group 0. */
const USER = '1000650000:0'

/**
 * How the file system is entered: as root in a mount namespace, in which it is bound read-only, and given to
 * {@link USER}, who has no capability; without root the same in a user namespace. Where root may not mount (in most
 * containers), by chroot alone: then it is owner and modes that keep {@link USER} from writing.
 */
type Way = { readonly command: readonly string[]; readonly user: string; readonly mounts: boolean }

function findWay(): Way {
  const isRoot = process.getuid?.() === 0
  const unshare = ['unshare', '--mount', ...(isRoot ? [] : ['--user', '--map-root-user'])]
  const user = isRoot ? `--userspec=${USER}` : ''
  if (spawnSync('unshare', [...unshare.slice(1), 'true']).status === 0)
    return { command: unshare, user, mounts: true }
  if (isRoot) return { command: ['env'], user, mounts: false }
  throw new Error('These tests need user namespaces (unshare --user --mount), or root')
}

const ENTER = `
set -e
root="$1"; user="$2"; node="$3"; shift 3
if [ -n "$node" ]; then
  mount --bind "$root" "$root"
  mount --bind "$node" "$root/nodejs/bin/node"
  mount -o remount,bind,ro "$root/nodejs/bin/node"
  mount -o remount,bind,ro "$root"
fi
cd "$root"
exec chroot $user "$root" "$@"
`

/** The bundle that was built before all tests. */
const BUNDLE = fileURLToPath(new URL('../../../dist', import.meta.url))

/** What the image of the Containerfile holds, `bundle` at `/app`. Needs Linux. */
export function createImage(bundle = BUNDLE): Image {
  const root = mkdtempSync(join(tmpdir(), 'ptp-watch-image-'))
  const node = realpathSync(fileURLToPath(new URL('../../../node_modules/.bin/node', import.meta.url)))
  for (const library of librariesOf(node)) {
    mkdirSync(join(root, dirname(library)), { recursive: true })
    copyFileSync(library, join(root, library))
  }
  mkdirSync(join(root, 'nodejs/bin'), { recursive: true })
  const way = findWay()
  if (way.mounts) writeFileSync(join(root, 'nodejs/bin/node'), '')
  else copyFileSync(node, join(root, 'nodejs/bin/node'))
  execFileSync('cp', ['-r', bundle, join(root, 'app')])
  // mkdtemp's folder is its owner's alone.
  execFileSync('chmod', ['-R', 'a+rX,go-w', root])

  const { entryPoint, env: own } = readRecipe()
  const [program = '', ...options] = way.command
  const start = (command: readonly string[], env: Env) =>
    spawn(
      program,
      [...options, 'sh', '-c', ENTER, 'sh', root, way.user, way.mounts ? node : '', ...command],
      {
        env: { PATH: process.env.PATH, ...own, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
  return {
    run: (args, env = {}) => start([...entryPoint, ...args], env),
    execute: (command) => start(command, {}),
    evaluate: (script, env = {}) => start(['/nodejs/bin/node', '--input-type=module', '--eval', script], env),
    mount(path, text) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), text, { mode: 0o444 })
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  }
}

/** What the dynamic linker loads for a program, the linker included. */
function librariesOf(program: string): string[] {
  return Array.from(
    execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g),
    ([, path = '']) => path,
  )
}
