// The search would leave out a word that begins with a dash. So the parts of a flag, such as --target-size, are looked up
// in titles alone, where each flag is one.
// Pages say licence, and flags and columns license: each is looked up as both.
const QUERY = 2 // the type of the message that asks the worker
const titled = flag => flag.split("-").filter(Boolean).map(word => `title:${word}`).join(" ")
const asked = text => text.replace(/(?<=^|\s)-[\w-]*\w/g, titled).replace(/\blicen[cs]e(s?)\b/gi, "licence$1 license$1")
const post = Worker.prototype.postMessage
Worker.prototype.postMessage = function (data, ...more) {
  const isQuery = data?.type === QUERY && typeof data.data === "string"
  return post.call(this, isQuery ? { ...data, data: asked(data.data) } : data, ...more)
}
