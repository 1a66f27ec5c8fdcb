// A simulated Kubernetes API server to try the Observer on, until Ctrl-C: prints a kubeconfig.
//   bun dev/simulated-kubernetes.ts > kubeconfig
//   OBSERVER_ENGINE=kubernetes KUBECONFIG=kubeconfig observer check
// Pods and claims are made as with any API server: POST /api/v1/namespaces/workspaces/pods.
import { startSimulatedKubernetes } from "./fakes/kubernetes.ts";
import { kubeconfigOf } from "./services/kubernetes-client.ts";

const { server, namespace } = await startSimulatedKubernetes({ listen: { port: 0 } });
console.log(kubeconfigOf({ server, ca: null, token: "admin-token", namespace }));
