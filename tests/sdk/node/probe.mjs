// The platform's official npm packages, pointed at the API. Prints a line of JSON: what each of their calls answered.
// Environment: AYWA_URL, AYWA_KEY (private), AYWA_PUBLIC_KEY.
import { createRequire } from "node:module";
import { VapiClient } from "@vapi-ai/server-sdk";

const require = createRequire(import.meta.url);
const { client: web } = require("@vapi-ai/web/dist/client.js");
const url = process.env.AYWA_URL;
const sdk = new VapiClient({ token: process.env.AYWA_KEY, baseUrl: url, maxRetries: 0 });
const answers = {};

async function note(name, asking) {
  try {
    answers[name] = { value: (await asking()) ?? null };
  } catch (error) {
    answers[name] = { status: error.statusCode ?? error.status ?? null, error: String(error.message ?? error) };
  }
  return answers[name].value;
}

const assistant = await note("assistants.create", () =>
  sdk.assistants.create({
    name: "Front desk",
    firstMessage: "Hello",
    model: { provider: "custom-llm", url: "https://llm.example.com", model: "x", tools: [{ type: "endCall" }] },
    voice: { provider: "custom-voice", server: { url: "https://voice.example.com" } },
    transcriber: { provider: "deepgram", model: "nova-3" },
  }),
);
await note("assistants.get", () => sdk.assistants.get({ id: assistant.id }));
await note("assistants.list", () => sdk.assistants.list({ limit: 5 }));
await note("assistants.update", () => sdk.assistants.update({ id: assistant.id, name: "Desk" }));
const tool = await note("tools.create", () =>
  sdk.tools.create({ type: "function", function: { name: "lookup", parameters: { type: "object", properties: {} } } }),
);
await note("tools.get", () => sdk.tools.get({ id: tool.id }));
await note("tools.list", () => sdk.tools.list());
const squad = await note("squads.create", () => sdk.squads.create({ members: [{ assistantId: assistant.id }] }));
await note("squads.list", () => sdk.squads.list());
const number = await note("phoneNumbers.create", () =>
  sdk.phoneNumbers.create({ provider: "vapi", sipUri: "sip:node@example.com", name: "Node" }),
);
await note("phoneNumbers.list", () => sdk.phoneNumbers.list());
const file = await note("files.create", () =>
  sdk.files.create({ file: new File(["We are open until six."], "hours.txt", { type: "text/plain" }), purpose: "assistant" }),
);
await note("files.list", () => sdk.files.list({ purpose: "assistant" }));
const call = await note("calls.create", () =>
  sdk.calls.create({ assistantId: assistant.id, transport: { provider: "vapi.websocket" } }),
);
await note("calls.get", () => sdk.calls.get({ id: call.id }));
await note("calls.list", () => sdk.calls.list({ limit: 5 }));
await note("calls.create without anything", () => sdk.calls.create({}));
await note("analytics.get", () =>
  sdk.analytics.get({
    queries: [{ name: "n", table: "call", operations: [{ operation: "count", column: "id" }] }],
  }),
);
for (const [part, name] of [["chats", "list"], ["sessions", "list"], ["structuredOutputs", "structuredOutputControllerFindAll"]]) {
  await note(`${part}.${name}`, () => sdk[part][name]({}));
}

// What the web SDK's start() asks for, with its own client.
web.baseUrl = url;
web.setSecurityData(process.env.AYWA_PUBLIC_KEY);
const asked = { roomDeleteOnUserLeaveEnabled: false };
await note("web by id", async () => (await web.call.callControllerCreateWebCall({ ...asked, assistantId: assistant.id })).data);
await note("web with an assistant", async () =>
  (await web.call.callControllerCreateWebCall({ ...asked, assistant: { firstMessage: "Hi", voice: { provider: "11labs", voiceId: "v" } } })).data,
);
await note("web to a squad", async () => (await web.call.callControllerCreateWebCall({ ...asked, squadId: squad.id })).data);

for (const [part, item] of [["calls", call], ["files", file], ["phoneNumbers", number], ["squads", squad], ["tools", tool], ["assistants", assistant]]) {
  await note(`${part}.delete`, () => sdk[part].delete({ id: item.id }));
}
await note("assistants.get of a deleted one", () => sdk.assistants.get({ id: assistant.id }));
console.log(JSON.stringify(answers));
