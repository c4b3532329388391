// Starts the console on the document inside this page.
const content = JSON.parse(document.getElementById("document").textContent);
// `scripts/docs.py --serve` answers the gateway's paths itself, so that no other origin is called.
const local = ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);
if (local && content.openapi) content.servers[0].url = `${location.origin}/v1/api/gateway`;

// The samples are of 2024, and a sandbox refuses an event that has ended: begin at the next full hour, with new ids.
if (content.openapi) {
  const { DispatchSample, SiteCommandSample } = content.components.examples;
  const start = Math.ceil(Date.now() / 3600e3) * 3600e3;
  const instant = time => new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
  DispatchSample.summary = "An event that begins at the next full hour";
  Object.assign(DispatchSample.value.event_slots[0], {
    event_id: crypto.randomUUID(),
    start_time: instant(start),
    end_time: instant(start + 3600e3),
  });
  SiteCommandSample.value.scmd_id = crypto.randomUUID();
}

Scalar.createApiReference("#console", {
  content,
  theme: "default",
  withDefaultFonts: false,
  telemetry: false,
  persistAuth: false,
  hideClientButton: true,
  showDeveloperTools: "never",
  agent: { disabled: true },
  mcp: { disabled: true },
  hiddenClients: true,
  defaultOpenAllTags: true,
  documentDownloadType: "none",
  hideModels: false,
  // Deep links are made of names.
  generateTagSlug: tag => tag.name,
  generateOperationSlug: operation => operation.operationId,
  ...(content.openapi && {
    authentication: {
      preferredSecurityScheme: "partnerKey",
      securitySchemes: { partnerKey: { value: "sandbox-key" } },
    },
  }),
});
