/** Where the project stands, seen from its compiled tests. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder that holds package.json. */
export const projectRoot = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
/** The compiled entry of the `sniway` command. */
export const commandFile = join(projectRoot, 'dist', 'src', 'cli', 'main.js');
