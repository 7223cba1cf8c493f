import { readFileSync } from "node:fs";
import { inflateRawSync } from "node:zlib";

/** The machine field of an ELF header, and Lambda's name of the architecture. */
const MACHINES: { [machine: number]: string } = { 0x3e: "x86_64", 0xb7: "arm64" };

/**
 * Returns the architecture for which a package was built, from the header of its `bootstrap`.
 *
 * A function of the wrong architecture does not start, so every rotation would fail.
 */
export function architectureOf(path: string): string {
    const zip = readFileSync(path);
    const header = entryHeader(zip, "bootstrap");
    if (!header) throw new Error(`the package ${path} has no file bootstrap`);
    const isElf = header.subarray(0, 4).equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46]));
    const architecture = isElf ? MACHINES[header.readUInt16LE(18)] : undefined;
    if (!architecture) throw new Error(`the bootstrap in ${path} is not a program for Lambda`);
    return architecture;
}

/** Returns the first bytes of a file in a ZIP archive, which a directory at its end lists. */
function entryHeader(zip: Buffer, name: string): Buffer | undefined {
    const end = zip.lastIndexOf(Buffer.from("PK\x05\x06", "latin1"));
    if (end < 0) return undefined;
    let entry = zip.readUInt32LE(end + 16);
    for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
        const nameLength = zip.readUInt16LE(entry + 28);
        if (zip.toString("utf8", entry + 46, entry + 46 + nameLength) === name) {
            const method = zip.readUInt16LE(entry + 10);
            const local = zip.readUInt32LE(entry + 42);
            const data = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
            const packed = zip.subarray(data, data + zip.readUInt32LE(entry + 20));
            return method === 0 ? packed : inflateRawSync(packed);
        }
        entry += 46 + nameLength + zip.readUInt16LE(entry + 30) + zip.readUInt16LE(entry + 32);
    }
    return undefined;
}
