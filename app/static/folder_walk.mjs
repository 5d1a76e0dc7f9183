/* Dropped things -> files with their relative names. Folders are walked to the bottom; names keep their folders. */

/** @param {DataTransfer} transfer @returns {Promise<{file: File, name: string}[]>} Must be called before the drop event ends. */
export function filesOf(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  return Promise.all(entries.filter(Boolean).map(walk)).then((lists) => lists.flat());
}

async function walk(entry) {
  if (entry instanceof File) return [{ file: entry, name: entry.name }];
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, name: entry.fullPath.replace(/^\//, "") }];
  }
  const lists = [];
  for (const child of await childrenOf(entry.createReader())) lists.push(await walk(child));
  return lists.flat();
}

/** readEntries hands out at most 100 at a time and must be asked until it has none. */
async function childrenOf(reader) {
  const all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** The files of an <input type=file>, folder pickers included. */
export function pickedFiles(list) {
  return [...list].map((file) => ({ file, name: file.webkitRelativePath || file.name }));
}
