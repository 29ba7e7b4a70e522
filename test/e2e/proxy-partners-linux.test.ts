import { describeProxyPartners } from './proxy-partners.ts';

describeProxyPartners('linux');
