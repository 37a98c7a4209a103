"""What models write when they mean well works, behind all walls there are here."""

import pytest
from PIL import Image
from pools import BY_MECHANISM, open_pool, wait

from verl_hdpo.tools.sandbox.display import pixels_of_image
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.preload import DEFAULT_MODULES

SNIPPETS = {
    "arithmetic": ("(17 * 23) % 7, 2 ** 100", "(6, 1267650600228229401496703205376)"),
    "numpy_algebra": (
        "import numpy as np\na = np.array([[2., 1], [1, 3]])\nnp.linalg.solve(a, [3, 5])",
        "array([0.8, 1.4])",
    ),
    "numpy_statistics": (
        "import numpy as np\nx = np.arange(1_000_000)\nfloat(x.mean()), int(x.sum())",
        "(499999.5, 499999500000)",
    ),
    "numpy_random": ("import numpy as np\nnp.random.default_rng(0).integers(0, 9, 3).shape", "(3,)"),
    "numpy_fft": ("import numpy as np\nint(np.argmax(np.abs(np.fft.rfft(np.sin(np.arange(64) * np.pi / 4)))))", "8"),
    "pil_crop": ("crop = image_1.crop((10, 20, 110, 70))\ncrop.size", "(100, 50)"),
    "pil_pipeline": (
        "from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps\n"
        "x = ImageOps.grayscale(image_1.resize((200, 100), Image.LANCZOS)).rotate(90, expand=True)\n"
        "x = ImageEnhance.Contrast(x.filter(ImageFilter.SHARPEN)).enhance(2)\n"
        "ImageDraw.Draw(x).rectangle((5, 5, 50, 50), outline=255)\nx.size, x.mode",
        "((100, 200), 'L')",
    ),
    "pil_text": (
        "from PIL import Image, ImageDraw, ImageFont\nx = Image.new('RGB', (100, 30), 'white')\n"
        "ImageDraw.Draw(x).text((5, 5), 'hello', fill='black', font=ImageFont.load_default())\n"
        "x.getextrema()[0][0] < 99",
        "True",
    ),
    "pil_save_and_open": (
        "from PIL import Image\nimage_1.save('crop.png'); image_1.save('crop.jpg')\n"
        "Image.open('crop.png').size, Image.open('crop.jpg').format",
        "((640, 480), 'JPEG')",
    ),
    "pil_bytes": (
        "import base64, io\nb = io.BytesIO()\nimage_1.save(b, 'PNG')\nbase64.b64encode(b.getvalue())[:8]",
        "b'iVBORw0K'",
    ),
    "numpy_of_image": (
        "import numpy as np\na = np.asarray(image_1)\na.shape, a[0, 0].tolist()",
        "((480, 640, 3), [10, 20, 30])",
    ),
    "matplotlib": (
        "import matplotlib.pyplot as plt\nfig, ax = plt.subplots(figsize=(3, 2))\nax.plot([1, 2, 3], label='α')\n"
        "ax.set_title('title'); ax.legend(); plt.tight_layout(); plt.savefig('plot.png'); plt.show()\n"
        "import os; os.path.getsize('plot.png') > 1000",
        "True",
    ),
    "matplotlib_imshow": ("import matplotlib.pyplot as plt\nplt.imshow(image_1); plt.axis('off'); plt.show()\n1", "1"),
    "sympy": (
        "from sympy import *\nx = symbols('x')\n"
        "solve(x**2 - 5*x + 6, x), diff(sin(x)**2, x), integrate(exp(-x), (x, 0, oo))",
        "([2, 3], 2*sin(x)*cos(x), 1)",
    ),
    "sympy_number_theory": ("import sympy\nsympy.factorint(2**32 - 1)", "{3: 1, 5: 1, 17: 1, 257: 1, 65537: 1}"),
    "pandas": (
        "import io, pandas as pd\ndf = pd.read_csv(io.StringIO('k,v\\na,1\\nb,2\\na,3'))\n"
        "df.groupby('k').v.sum().to_dict()",
        "{'a': 4, 'b': 2}",
    ),
    "pandas_files": (
        "import pandas as pd\npd.DataFrame({'x': [1, 2]}).to_csv('t.csv', index=False)\n"
        "pd.read_csv('t.csv').x.tolist()",
        "[1, 2]",
    ),
    "pandas_dates": (
        "import pandas as pd\npd.date_range('2024-02-28', periods=2).strftime('%d').tolist()",
        "['28', '29']",
    ),
    "dates": (
        "from datetime import datetime\nfrom zoneinfo import ZoneInfo\n"
        "str(datetime(2024, 7, 1, 12, tzinfo=ZoneInfo('Europe/Berlin')).utcoffset())",
        "'2:00:00'",
    ),
    "standard_library": (
        "import collections, itertools, json, re, math, statistics\n"
        "json.dumps([len(re.findall('a', 'banana')), math.comb(5, 2), statistics.median([3, 1, 2]),"
        " len(list(itertools.permutations('abc'))), collections.Counter('aab')['a']])",
        "'[3, 10, 2, 6, 2]'",
    ),
    "dataclass": (
        "from dataclasses import dataclass\nimport pickle\n"
        "@dataclass\nclass P:\n    x: int\npickle.loads(pickle.dumps(P(1)))",
        "P(x=1)",
    ),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as e: x = list(e.map(abs, [-1, 2]))\nx",
        "[1, 2]",
    ),
    "asyncio": ("import asyncio\nasync def f():\n    await asyncio.sleep(0.01)\n    return 1\nasyncio.run(f())", "1"),
    "sqlite": ("import sqlite3\nc = sqlite3.connect('d.db')\nc.execute('select 1 + 1').fetchone()", "(2,)"),
    "sqlite_journals_and_two_connections": (
        "import sqlite3\nfound = []\nfor mode in ('delete', 'persist', 'truncate', 'memory'):\n"
        "    a, b = (sqlite3.connect(f'{mode}.db') for _ in 'ab')\n"
        "    a.execute(f'pragma journal_mode={mode}'); a.execute('create table t (x)'); a.commit()\n"
        "    a.execute('insert into t values (1)')\n"
        "    found.append(b.execute('select count(*) from t').fetchone()[0]); a.commit()\n"
        "    found.append(b.execute('select count(*) from t').fetchone()[0])\nfound",
        "[0, 1, 0, 1, 0, 1, 0, 1]",
    ),
    "sqlite_write_ahead": (
        "import sqlite3\na = sqlite3.connect('d.db')\na.execute('pragma locking_mode=exclusive')\n"
        "mode = a.execute('pragma journal_mode=wal').fetchone()[0]\na.execute('create table t (x)')\n"
        "a.execute('insert into t values (1)'); a.commit()\nmode, a.execute('select * from t').fetchall()",
        "('wal', [(1,)])",
    ),
    "locks": (
        "import fcntl, os\nf = open('f', 'w')\nfcntl.lockf(f, fcntl.LOCK_EX); fcntl.flock(f, fcntl.LOCK_EX)\n"
        "os.lockf(f.fileno(), os.F_TLOCK, 0); fcntl.lockf(f, fcntl.LOCK_UN)",
        "",
    ),
    "subprocess_free_asyncio": (
        "import asyncio\nasync def f():\n    reader, writer = await asyncio.open_unix_connection(sock=ours)\n"
        "    theirs.sendall(b'line\\n')\n    return await reader.readline()\n"
        "import socket\nours, theirs = socket.socketpair()\nasyncio.run(f())",
        "b'line\\n'",
    ),
    "zip": (
        "import zipfile\nwith zipfile.ZipFile('a.zip', 'w') as z: z.writestr('x/y', 'text')\n"
        "zipfile.ZipFile('a.zip').extractall('out')\nopen('out/x/y').read()",
        "'text'",
    ),
    "timing": ("import time\nstart = time.time()\ntime.sleep(0.01)\ntime.time() > start", "True"),
}
PICTURES = {"matplotlib": (300, 200), "matplotlib_imshow": (640, 480)}


@pytest.fixture(scope="module", params=BY_MECHANISM)
def pool(request):
    with open_pool(request.param, modules=DEFAULT_MODULES, limits=Limits(), spare_sessions=2) as pool:
        yield pool


@pytest.mark.parametrize("name", SNIPPETS)
def test_harmless_code_works(name, pool):
    code, value = SNIPPETS[name]
    image = pixels_of_image(Image.new("RGB", (640, 480), (10, 20, 30)))

    if name == "threads" and not wait(pool.zygote()).in_force["own_mounts"]:
        pytest.skip("no user namespaces here, so no threads")

    async def run():
        session = await pool.session()
        try:
            return await session.run(code, 60, {"image_1": image})
        finally:
            session.close()

    result = wait(run())
    assert (result.status, result.error, result.stderr) == ("ok", "", "")
    assert result.value == value
    shown = [(image.width, image.height) for image in result.images]
    assert shown == ([PICTURES[name]] if name in PICTURES else [])
