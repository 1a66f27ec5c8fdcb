// The Engine's contract, and that of Kubernetes, on the simulated API server. What passes here and on a real
// kube-apiserver (`bun run test:kubernetes`) alike may be believed of the tests that run on the simulated one.
import { startSimulatedKubernetes } from "../../dev/fakes/kubernetes.ts";
import { kubernetesClient } from "../../dev/services/kubernetes-client.ts";
import { engineContract } from "./engine.ts";
import { kubernetesContract } from "./kubernetes.ts";
import { kubernetesWorld } from "./kubernetes-support.ts";

async function start() {
  const fake = await startSimulatedKubernetes({ listen: { port: 0 } });
  const access = { server: fake.server, ca: null, token: "admin-token", namespace: fake.namespace };
  return { fake, access, client: kubernetesClient(access) };
}

engineContract(
  "simulated Kubernetes",
  async () => {
    const { fake, access, client } = await start();
    return { ...kubernetesWorld(access, client), stop: fake.stop };
  },
  "kubernetes",
);

kubernetesContract("simulated Kubernetes", async () => {
  const { fake, access, client } = await start();
  let accounts = 0;
  return {
    access,
    client,
    async tokenFor(rights) {
      accounts += 1;
      const token = `token-${accounts}`;
      fake.tokens.add(token);
      fake.rights.set(token, new Set(rights));
      return token;
    },
    compact: async () => fake.world.compact(),
    async loseHistory() {
      fake.world.touch();
      fake.world.compact();
      fake.cutWatches();
    },
    stop: fake.stop,
  };
});
