// In a query of the search a word that begins with a dash is left out, so --target-size is looked up as target-size.
const QUERY = 2 // the type of the message that asks the worker
const post = Worker.prototype.postMessage
Worker.prototype.postMessage = function (data, ...more) {
  const isQuery = data?.type === QUERY && typeof data.data === "string"
  return post.call(this, isQuery ? { ...data, data: data.data.replace(/(^|\s)-+(?=\w)/g, "$1") } : data, ...more)
}
