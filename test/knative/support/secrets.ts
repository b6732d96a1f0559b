/** The Secrets that docs/deploy.md has people make, `<name>/<key>`, with values as they would be. */
export const SECRETS: Readonly<Record<string, string>> = {
  'ptp-watch-callback/CALLBACK_SECRET': 'a secret of the manifest tests',
  'ptp-watch-redis/STATE_URL': 'redis://:password@redis',
  'ptp-watch-redis/auth.conf': 'requirepass password',
  'ptp-watch-publisher/ca.crt': '',
  'ptp-notification/REGISTRATION_USER': 'user',
}
