// What all modules share: questions to the server, and the making of elements. Text is set as text, never as HTML.

/** Asks the server; a lost session is reported as an error of the name "SignIn". */
export async function ask(path, options) {
  const answer = await fetch(path, options);
  if (answer.status === 401) throw Object.assign(new Error("Sign in"), { name: "SignIn" });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error || body.message || answer.statusText);
  return body;
}

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function svg(tag, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.append(text);
  return made;
}

/** An address that a dashboard gives, if it leads to a page; what else it may be is not followed. */
export const address = (url) => (/^(https?:\/\/|\/)/.test(url) ? url : "#");
