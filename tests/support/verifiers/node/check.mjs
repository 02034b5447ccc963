// Verify requests with the libraries of other people. Standard input is a JSON list of requests.
import { readFileSync } from "node:fs";

const verifiers = {
  standard: async ({ secret, headers, body }) => {
    const { Webhook } = await import("standardwebhooks");
    new Webhook(secret).verify(body, headers);
  },
  stripe: async ({ secret, headers, body }) => {
    const { default: Stripe } = await import("stripe");
    new Stripe("sk_test_unused").webhooks.constructEvent(body, headers["stripe-signature"], secret);
  },
  github: async ({ secret, headers, body }) => {
    const { verify } = await import("@octokit/webhooks-methods");
    if (!(await verify(secret, body, headers["x-hub-signature-256"]))) throw new Error("refused");
  },
};

for (const request of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    await verifiers[request.form](request);
    console.log("ok");
  } catch (error) {
    if (error.code === "ERR_MODULE_NOT_FOUND") throw error;
    console.log("no");
  }
}
