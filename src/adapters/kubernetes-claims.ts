/** A PersistentVolumeClaim, from Kubernetes' words to the domain's. It exists as long as the claim does. */
import { storableText } from "../observer/names.ts";
import type { VolumeSeen } from "../observer/ports.ts";
import { type Fields, fieldsOf, textOf } from "./kubernetes-fields.ts";
import { identityIn } from "./kubernetes-pods.ts";

export function seeClaim(claim: Fields): VolumeSeen {
  const { name: written, isLeaving } = identityIn(claim);
  const name = storableText(written);
  const driver = storableText(textOf(fieldsOf(claim.spec).storageClassName) ?? "");
  const tell = (reason: string, more: string): VolumeSeen => ({
    name,
    driver,
    reason,
    message: `volume ${name} exists, ${more}`,
  });
  const { phase } = fieldsOf(claim.status);
  if (phase === "Lost") return tell("VolumeLost", "but the storage that it was bound to is gone");
  if (isLeaving) return tell("VolumeTerminating", "and is removed once no pod uses it");
  if (phase === "Pending") return tell("VolumePending", "not bound to storage yet");
  return { name, driver };
}
