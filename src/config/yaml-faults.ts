/** What the YAML parser has to say, in words an operator can act on. */
import { visit } from 'yaml';
import type { Document, YAMLError } from 'yaml';

/** Something wrong with the text itself. */
export interface YamlFault {
  /** UTF-16 units from the start of the text. */
  readonly offset: number;
  readonly message: string;
  readonly severity: 'error' | 'warning';
}

const MESSAGES: Partial<Record<YAMLError['code'], string>> = {
  DUPLICATE_KEY: 'this key stands twice in the same object',
  MULTIPLE_DOCS: 'a configuration is one YAML document: remove "---" and what follows',
  NON_STRING_KEY:
    'a key must be plain text; put a value that begins with [ or { in quotes, as in "[::1]:8443"',
  RESOURCE_EXHAUSTION: 'lists and objects are nested too deeply',
  TAB_AS_INDENT: 'YAML is indented with spaces, not with tabs',
  TAG_RESOLVE_FAILED: 'tags mean nothing here; put text that begins with ! in quotes',
};

/** Faults of a parsed document, its aliases included (the parser itself looks those up only later). */
export function findYamlFaults(document: Document): YamlFault[] {
  const exhausted = document.errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
  // What follows the exhaustion is only its echo.
  if (exhausted !== undefined) return [toFault(exhausted)];
  const faults = [...document.errors, ...document.warnings].map(toFault);
  return faults.length > 0 ? faults : findAliasFaults(document);
}

function toFault(error: YAMLError): YamlFault {
  const isWarning = error.name === 'YAMLWarning' && error.code !== 'TAG_RESOLVE_FAILED';
  return { offset: error.pos[0], message: describe(error), severity: isWarning ? 'warning' : 'error' };
}

function describe({ code, message }: YAMLError): string {
  if (code === 'UNEXPECTED_TOKEN' && message.startsWith('Unexpected scalar at node end')) {
    return 'unexpected text; put a whole value that begins with [ or { in quotes, as in "{sni}:443" or "[::1]:8443"';
  }
  return MESSAGES[code] ?? message.charAt(0).toLowerCase() + message.slice(1);
}

/** An alias may stand only behind its anchor; an unquoted `*.example.com` looks like one that has none. */
function findAliasFaults(document: Document): YamlFault[] {
  const faults: YamlFault[] = [];
  const anchors = new Set<string>();
  visit(document, {
    Node(_key, node) {
      if ('anchor' in node && typeof node.anchor === 'string') anchors.add(node.anchor);
    },
    Alias(_key, alias) {
      const offset = alias.range?.[0] ?? 0;
      if (!anchors.has(alias.source)) {
        const message = `put text that begins with * in quotes: "*${alias.source}" (YAML takes it for an alias)`;
        faults.push({ offset, message, severity: 'error' });
      }
    },
  });
  return faults;
}
