//! What several tests need: packages of functions, and templates as JSON.

import { App, Stack } from "aws-cdk-lib";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The folder deploy/cdk. */
export const PACKAGE = join(__dirname, "../..");

/** The root of the project. */
export const PROJECT = join(PACKAGE, "../..");

// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Any = any;

export interface Template {
    Resources: {
        [id: string]: {
            Type: string;
            Properties: Any;
            DependsOn?: string[];
            DeletionPolicy?: string;
            UpdateReplacePolicy?: string;
        };
    };
    Mappings?: Any;
    Outputs?: Any;
    Transform?: Any;
}

/** Writes packages for Lambda that contain only the header of a program, and its name. */
export function createPackages(architecture: "arm64" | "x86_64" = "arm64"): string {
    const folder = mkdtempSync(join(tmpdir(), "keywheel-"));
    const script = `
import pathlib, struct, sys, zipfile
folder, machine = pathlib.Path(sys.argv[1]), int(sys.argv[2])
for name in "postgres mysql mariadb sqlserver oracle custom".split():
    path = folder / f"rotation-{name}"
    path.mkdir()
    header = b"\\x7fELF" + bytes(14) + struct.pack("<H", machine) + bytes(44)
    with zipfile.ZipFile(path / "bootstrap.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bootstrap", header + path.name.encode())
`;
    const machine = architecture === "arm64" ? 0xb7 : 0x3e;
    execFileSync("python3", ["-c", script, folder, `${machine}`]);
    return folder;
}

const programs = new Map<string, string>();

/** Returns the program in the package that a function's code is, such as `rotation-mysql`. */
export function programOf(outdir: string, code: Any): string {
    const path = join(outdir, `asset.${code.S3Key}`);
    if (!programs.has(path)) {
        const script =
            "import sys, zipfile; " +
            'print(zipfile.ZipFile(sys.argv[1]).read("bootstrap")[64:].decode(), end="")';
        programs.set(path, execFileSync("python3", ["-c", script, path], { encoding: "utf8" }));
    }
    return programs.get(path)!;
}

/** Synthesises an app, and returns the template of each stack. */
export function synthesize(app: App): { outdir: string; templates: { [stack: string]: Template } } {
    const assembly = app.synth();
    const templates = Object.fromEntries(
        assembly.stacksRecursively.map((it) => [
            it.stackName,
            JSON.parse(readFileSync(it.templateFullPath, "utf8")),
        ]),
    );
    return { outdir: assembly.directory, templates };
}

/** Synthesises an app, and returns the template of its stack. */
export function templateOf(stack: Stack): Template {
    return synthesize(stack.node.root as App).templates[stack.stackName];
}

/** Returns the resources of a type. */
export function resourcesOf(template: Template, type: string) {
    return Object.entries(template.Resources).filter(([, it]) => it.Type === type);
}

/** Returns the statements of all inline policies of a role, by their `Sid`. */
export function statementsOf(role: Any): { [sid: string]: Any } {
    const statements = role.Policies.flatMap((it: Any) => it.PolicyDocument.Statement);
    return Object.fromEntries(statements.map((it: Any) => [it.Sid, it]));
}
