import { describeProxyHeaders } from './conformance.ts';

describeProxyHeaders('portable');
