// Runs the public suite of HTTP cache tests (npm: http-cache-tests) through a forward proxy and prints what came of each
// test, as JSON: { id: [kind, suite, "pass" | "fail" | "setup" | "dependency" | "harness", message] }.
//
//   node cache_suite.mjs FOLDER_OF_THE_SUITE ORIGIN_PORT PROXY_HOST PROXY_PORT [ID]
//
// FOLDER/server/server.mjs listens on ORIGIN_PORT. The suite is written for reverse proxies; here an agent sends its
// requests in absolute-form (RFC 9112 3.2.2) to the proxy. With ID only that test runs, and what is exchanged is printed.
import http from 'node:http'
import path from 'node:path'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [folder, originPort, proxyHost, proxyPort, id] = process.argv.slice(2)
const load = file => import(pathToFileURL(path.join(folder, file)).href)
const nodeFetch = createRequire(path.join(folder, 'package.json'))('node-fetch')

class ProxyAgent extends http.Agent {
  addRequest (request, options) {
    request.path = `http://${options.host}:${options.port}${request.path}`
    super.addRequest(request, { ...options, host: proxyHost, port: proxyPort })
  }
}
const agent = new ProxyAgent({ keepAlive: true })
const fetch = (url, init) => nodeFetch(url, { ...init, agent })

const { runTests, getResults } = await load('client/runner.mjs')
// Without Surrogate-Control, whose place RFC 9213 has taken.
const suites = [...(await load('tests/index.mjs')).default]

const wanted = test => {
  if (id !== undefined) test.dump = test.id === id
  return id === undefined || test.id === id
}
const chosen = suites.map(suite => ({ ...suite, tests: suite.tests.filter(wanted) })).filter(suite => suite.tests.length > 0)
await runTests(chosen, fetch, false, `http://127.0.0.1:${originPort}`)
agent.destroy()

const raw = getResults()
const byId = new Map(chosen.flatMap(suite => suite.tests.map(test => [test.id, { ...test, suite: suite.id }])))
const outcome = test => {
  const failed = (test.depends_on ?? []).some(other => byId.has(other) && outcome(byId.get(other))[0] !== 'pass')
  if (failed) return ['dependency', '']
  const result = raw[test.id]
  if (result === true) return ['pass', '']
  if (result === undefined) return ['harness', 'not run']
  const [name, message] = result
  return [{ Setup: 'setup', Assertion: 'fail' }[name] ?? 'harness', message]
}
const report = {}
for (const [name, test] of byId) {
  if (test.browser_only) continue
  report[name] = [test.kind ?? 'required', test.suite, ...outcome(test)]
}
console.log(JSON.stringify(report))
