// The Engine's contract, and that of Kubernetes, on a real kube-apiserver with etcd. `bun run test:kubernetes` makes sure
// that there is one.
import { type Kubernetes, startKubernetes } from "../../dev/services/kubernetes.ts";
import { engineContract } from "../contract/engine.ts";
import { kubernetesContract } from "../contract/kubernetes.ts";
import { kubernetesWorld } from "../contract/kubernetes-support.ts";

/** One server for both, since each takes five seconds to start. */
let started: Promise<Kubernetes> | undefined;
let users = 2;
const start = () => (started ??= startKubernetes());
const stop = async () => {
  users -= 1;
  if (users === 0) await (await start()).stop();
};

engineContract(
  "Kubernetes",
  async () => {
    const kubernetes = await start();
    // Three pages.
    return { ...kubernetesWorld(kubernetes, kubernetes.client, 100), many: 250, stop };
  },
  "kubernetes",
);

kubernetesContract("Kubernetes", async () => {
  const kubernetes = await start();
  const { client, tokenFor, compact, loseHistory } = kubernetes;
  return { access: kubernetes, client, tokenFor, compact, loseHistory, stop };
});
