// In a query of the search a word that begins with a dash is left out, so --target-size is looked up as target-size.
// Pages say licence, and flags and columns license: each is looked up as both.
const QUERY = 2 // the type of the message that asks the worker
const asked = text => text.replace(/(^|\s)-+(?=\w)/g, "$1").replace(/\blicen[cs]e(s?)\b/gi, "licence$1 license$1")
const post = Worker.prototype.postMessage
Worker.prototype.postMessage = function (data, ...more) {
  const isQuery = data?.type === QUERY && typeof data.data === "string"
  return post.call(this, isQuery ? { ...data, data: asked(data.data) } : data, ...more)
}
