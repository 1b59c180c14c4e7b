// Ask the search of a built site, as its pages do: node search.js SITE QUERY...; a line of JSON with locations for each.
const fs = require("fs"), path = require("path"), vm = require("vm")

const [site, ...queries] = process.argv.slice(2)
const [SETUP, QUERY] = [0, 2] // types of messages
const load = file => vm.runInThisContext(fs.readFileSync(file, "utf8"))
const handlers = []
let answered

globalThis.self = globalThis
globalThis.addEventListener = (kind, handler) => kind === "message" && handlers.push(handler)
globalThis.postMessage = message => answered(message)
globalThis.Worker = class {
  postMessage(data) { for (const handler of handlers) handler({ data }) }
}
const workers = path.join(site, "assets/javascripts/workers")
load(path.join(workers, fs.readdirSync(workers).find(name => /^search\..*\.js$/.test(name))))
load(path.join(site, "site/search.js"))

const ask = (type, data) => new Promise(resolve => {
  answered = resolve
  new Worker().postMessage({ type, data })
})
const index = JSON.parse(fs.readFileSync(path.join(site, "search/search_index.json"), "utf8"))
ask(SETUP, { ...index, options: { suggest: true } }).then(async () => {
  for (const query of queries) {
    const { data } = await ask(QUERY, query)
    console.log(JSON.stringify(data.items.map(([first]) => first.location)))
  }
})
