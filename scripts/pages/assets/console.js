// Starts the console on the document inside this page.
const content = JSON.parse(document.getElementById("document").textContent);
// `scripts/docs.py --serve` answers the gateway's paths itself, so that no other origin is called.
const local = ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);
if (local && content.openapi) content.servers[0].url = `${location.origin}/v1/api/gateway`;

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
  defaultHttpClient: { targetKey: "python", clientKey: "requests" },
  authentication: {
    preferredSecurityScheme: "partnerKey",
    securitySchemes: { partnerKey: { value: "sandbox-key" } },
  },
});
