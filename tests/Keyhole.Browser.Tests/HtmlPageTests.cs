// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Threading.Tasks;
using Keyhole.Cli.Terminal;
using Microsoft.Playwright;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Browser.Tests;

/// <summary>What <c>--html</c> writes, in a real Chromium without a network.</summary>
[TestClass]
[TestCategory("Browser")]
public sealed class HtmlPageTests
{
    /// <summary>WCAG 2's AA for text of usual size.</summary>
    private const double LeastContrast = 4.5;

    private static readonly Dictionary<string, string[]> s_cases = new()
    {
        ["plan"] = ["plan", "--host", Golden("seed8g.log"), "--memory", "3G", "--e820-host"],
        ["compare"] = ["compare", "--host", Golden("plain4g.log"), "--type", "kvm", "--machine", "q35", "--firmware", "ovmf-2022.11", "--qemu", "7.2",
            "--phys-bits", "40", "--memory", "64G", "--bar-size", "128G,64bit"],
        ["fleet"] = ["fleet", Golden("seed8g.log"), Golden("plain4g.log"), Golden("nvskernel.log"), "--memory", "3G"],
        ["verify"] = ["verify", "--dom0", "--host", Golden("nvskernel.log")],
    };

    private static string s_folder = "";
    private static IPlaywright s_playwright = null!;
    private static IBrowser s_browser = null!;

    public static IEnumerable<object[]> Pages() => s_cases.Keys.Select(static name => new object[] { name });

    [ClassInitialize]
    public static async Task Write_the_pages_and_start_the_browser(TestContext context)
    {
        s_folder = Directory.CreateTempSubdirectory("keyhole-pages-").FullName;
        foreach ((string name, string[] args) in s_cases)
        {
            using var console = new CommandConsole(new StreamWriter(Stream.Null), TextWriter.Null, static () => Stream.Null, hasColours: false);
            _ = Keyhole.Cli.Program.Run([.. args, "--html", PathOf(name)], console);
        }

        s_playwright = await Playwright.CreateAsync();
        s_browser = await s_playwright.Chromium.LaunchAsync(new() { ExecutablePath = "/usr/bin/chromium", Args = ["--no-sandbox", "--disable-gpu"] });
    }

    [ClassCleanup]
    public static async Task Stop_the_browser()
    {
        await s_browser.CloseAsync();
        s_playwright.Dispose();
        Directory.Delete(s_folder, recursive: true);
    }

    [TestMethod]
    [DynamicData(nameof(Pages))]
    public async Task The_page_asks_for_nothing_and_complains_of_nothing(string name)
    {
        await using IBrowserContext context = await Offline();
        IPage page = await context.NewPageAsync();
        List<string> asked = [];
        List<string> complaints = [];
        page.Request += (_, request) => asked.Add(request.Url[..Math.Min(request.Url.Length, 60)]);
        page.Console += (_, message) => complaints.Add(message.Text);
        page.PageError += (_, error) => complaints.Add(error);

        await page.GotoAsync(UrlOf(name));

        Assert.IsEmpty(asked.Where(url => url != UrlOf(name) && !url.StartsWith("data:", StringComparison.Ordinal)), string.Join('\n', asked));
        Assert.IsEmpty(complaints, string.Join('\n', complaints));
        foreach (IElementHandle picture in await page.QuerySelectorAllAsync("img"))
            Assert.IsGreaterThan(300, await picture.EvaluateAsync<int>("image => image.naturalWidth"), "the picture is not shown");
    }

    [TestMethod]
    [DynamicData(nameof(Pages))]
    public async Task A_screen_reader_finds_the_verdict_headings_tables_and_names(string name)
    {
        await using IBrowserContext context = await Offline();
        IPage page = await Open(context, name);

        string heard = await page.Locator("body").AriaSnapshotAsync();

        Assert.MatchesRegex($"^- main:\n  - '?heading \"keyhole {name}: .*\" \\[level=1\\]'?\n  - paragraph: \\S", heard);
        Assert.Contains("- table \"", heard);
        Assert.Contains("- columnheader \"", heard);
        Assert.DoesNotMatchRegex("- (region|img|table|heading)( \"\")?(:|\n|$)", heard, "something has no name");
        foreach (IElementHandle picture in await page.QuerySelectorAllAsync("img"))
            Assert.IsFalse(string.IsNullOrWhiteSpace(await picture.GetAttributeAsync("alt")));
    }

    [TestMethod]
    [DynamicData(nameof(Pages))]
    public async Task The_keyboard_reaches_whatever_folds_or_scrolls_in_the_order_of_the_page(string name)
    {
        await using IBrowserContext context = await Offline();
        IPage page = await Open(context, name);
        await page.EvaluateAsync("document.querySelectorAll('details').forEach(details => details.open = true)");
        int stops = await page.EvaluateAsync<int>("(window.stops = [...document.querySelectorAll('summary, [tabindex=\"0\"]')]).length");
        Assert.IsGreaterThan(3, stops);

        for (int i = 0; i < stops; i++)
        {
            await page.Keyboard.PressAsync("Tab");
            Assert.AreEqual(i, await page.EvaluateAsync<int>("window.stops.indexOf(document.activeElement)"));
            Assert.AreNotEqual("none", await page.EvaluateAsync<string>("getComputedStyle(document.activeElement).outlineStyle"),
                "the focus is not seen");
        }

        ILocator last = page.Locator("details").Last;
        await last.Locator("summary").FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        Assert.IsFalse(await last.EvaluateAsync<bool>("details => details.open"));
    }

    [TestMethod]
    [DynamicData(nameof(Pages))]
    public async Task Every_text_stands_out_from_its_ground_in_light_and_dark(string name)
    {
        await using IBrowserContext context = await Offline();
        IPage page = await Open(context, name);
        foreach (ColorScheme scheme in (ColorScheme[])[ColorScheme.Light, ColorScheme.Dark])
        {
            await page.EmulateMediaAsync(new() { ColorScheme = scheme });

            JsonElement worst = await page.EvaluateAsync<JsonElement>("""
                () => {
                    const light = colour => { const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
                    const ground = element => { for (; element; element = element.parentElement) { const colour = getComputedStyle(element).backgroundColor; if (!/, 0\)$/.test(colour)) return colour; } return 'rgb(255, 255, 255)'; };
                    let worst = { contrast: 99, text: '' };
                    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
                    while (walker.nextNode()) {
                        const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
                        if (!text) continue;
                        const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x), contrast = (a + .05) / (b + .05);
                        if (contrast < worst.contrast) worst = { contrast, text: text.slice(0, 40) };
                    }
                    worst.paper = light(ground(document.body));
                    return worst;
                }
                """);

            Assert.IsGreaterThanOrEqualTo(LeastContrast, worst.GetProperty("contrast").GetDouble(), $"{scheme}: {worst.GetProperty("text")}");
            Assert.AreEqual(scheme == ColorScheme.Light, worst.GetProperty("paper").GetDouble() > 0.5, $"{scheme} has the other's ground");
        }
    }

    [TestMethod]
    [DynamicData(nameof(Pages))]
    public async Task On_paper_nothing_is_folded_or_dark(string name)
    {
        await using IBrowserContext context = await Offline();
        IPage page = await Open(context, name);
        await page.EmulateMediaAsync(new() { Media = Media.Print, ColorScheme = ColorScheme.Dark });

        foreach (ILocator text in await page.Locator("pre").AllAsync())
            Assert.IsGreaterThan(20, (await text.BoundingBoxAsync())?.Height ?? 0, "a folded text is not printed");
        Assert.AreEqual("rgb(255, 255, 255)", await page.EvaluateAsync<string>("getComputedStyle(document.body).backgroundColor"));
        byte[] paper = await page.PdfAsync();
        Assert.StartsWith("%PDF", Encoding.Latin1.GetString(paper.AsSpan(0, 4)));
    }

    [TestMethod]
    public async Task What_is_made_to_be_copied_is_selected_whole_by_one_click()
    {
        await using IBrowserContext context = await Offline();
        IPage page = await Open(context, "compare");
        ILocator libvirt = page.Locator("h3:has-text('libvirt') + pre");

        await libvirt.ClickAsync();

        string selected = await page.EvaluateAsync<string>("getSelection().toString()");
        Assert.Contains("131072", selected);
        Assert.AreEqual(Regex.Replace(await libvirt.InnerTextAsync(), @"\s+", " ").Trim(), Regex.Replace(selected, @"\s+", " ").Trim());
    }

    private static string Golden(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "golden", name);

    private static string PathOf(string name) => Path.Combine(s_folder, $"{name}.html");

    private static string UrlOf(string name) => new Uri(PathOf(name)).AbsoluteUri;

    private static Task<IBrowserContext> Offline() => s_browser.NewContextAsync(new() { Offline = true });

    private static async Task<IPage> Open(IBrowserContext context, string name)
    {
        IPage page = await context.NewPageAsync();
        await page.GotoAsync(UrlOf(name));
        return page;
    }
}
