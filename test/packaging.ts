// What packaging/ holds, as values: the alerts, and the panels of the dashboard.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<"summary" | "description" | "runbook_url", string>>;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly gridPos: Readonly<Record<"x" | "y" | "w" | "h", number>>;
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

export interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: string | { readonly query: string };
}

const root = join(import.meta.dir, "..");
export const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

export function readAlerts(): Alert[] {
  const { groups } = Bun.YAML.parse(textOf("packaging/prometheus/alerts.yml")) as {
    groups: { rules: Alert[] }[];
  };
  return groups.flatMap((group) => group.rules);
}

export function readDashboard(): { panels: Panel[]; templating: { list: Variable[] } } {
  return JSON.parse(textOf("packaging/grafana/observer.json"));
}

/** A panel's expression as Grafana would send it. */
export const interpolate = (expr: string, variables: Readonly<Record<string, string>>): string =>
  expr.replace(/\$\{?(\w+)\}?/g, (_, name: string) => {
    const value = variables[name];
    if (value === undefined) throw new Error(`The dashboard has no variable ${name}: ${expr}`);
    return value;
  });
